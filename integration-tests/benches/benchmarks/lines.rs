//! How many lines per second get through each runner from one program that writes as
//! fast as it can.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, processes};
use rustix::process::Signal;

use crate::report::{Row, Table};
use crate::runners::{self, Runner};
use crate::statistics::Sample;

const LINES: u32 = 300_000;
const ROUNDS: usize = 5;

/// Writes numbered lines of 80 bytes, then says again and again that this was all: the
/// first time that gets through ends the measurement, the lines before it are counted.
const WRITER: &str = r#"
import sys, time
LINES = int(sys.argv[1])
out = sys.stdout
for start in range(0, LINES, 500):
    out.write("".join(f"line {number:8d} {'x' * 65}\n" for number in range(start, start + 500)))
    out.flush()
while True:
    print("all written", flush=True)
    time.sleep(0.02)
"#;

/// Lines per second of each runner.
pub(crate) fn measure(runners: &[Runner]) -> Result<Vec<Table>> {
    let mut rows = Vec::new();
    for runner in runners {
        let mut lost = 0.0_f64;
        let sample = Sample::take(ROUNDS, || {
            let round = round(runner).with_context(|| runner.described())?;
            lost = lost.max(1.0 - f64::from(round.arrived) / f64::from(LINES));
            Ok(f64::from(round.arrived) / round.took.as_secs_f64() / 1000.0)
        })?;
        let note = if lost > 0.0 {
            format!("{:.1} % at most were dropped, and counted", lost * 100.0)
        } else {
            "every line arrived".to_owned()
        };
        rows.push(Row { subject: runner.name.to_owned(), sample, note });
    }
    Ok(vec![Table {
        title: "Log throughput",
        how: format!(
            "{LINES} lines of 80 bytes from one program, written as fast as it can, until the last \
             one\ncame out of the runner's standard output, a pipe that is read at once. Updraft \
             also stores them on disk."
        ),
        unit: "1000 lines/s",
        less_is_better: false,
        rows,
    }])
}

struct Round {
    arrived: u32,
    took: Duration,
}

fn round(runner: &Runner) -> Result<Round> {
    let system = TestSystem::empty()?;
    system.write("writer.py", WRITER)?;
    system.write("Procfile", &format!("writer: python3 writer.py {LINES}\n"))?;
    let writer = format!("python3 writer.py {LINES}");
    system.write("procfile.sh", &runners::floor(&[writer]))?;
    let mut child = runner.command(&system).stdout(Stdio::piped()).spawn()?;
    let round = count(&mut child);
    // Its end is not measured, and some do not end in order once their pipe is closed.
    processes::signal_group(child.id(), Signal::KILL)?;
    child.wait()?;
    round
}

fn count(child: &mut Child) -> Result<Round> {
    let mut stream = BufReader::new(child.stdout.take().context("there is a pipe")?);
    let (mut arrived, mut first, mut last) = (0, None, None);
    let mut line = Vec::new();
    loop {
        line.clear();
        ensure!(stream.read_until(b'\n', &mut line)? > 0, "the output ended after {arrived} lines");
        if contains(&line, b"all written") {
            break;
        }
        if contains(&line, b"xxxxxxxx") {
            let now = Instant::now();
            first.get_or_insert(now);
            last = Some(now);
            arrived += 1;
        }
    }
    let (first, last) = first.zip(last).context("no line arrived")?;
    Ok(Round { arrived, took: last - first })
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}
