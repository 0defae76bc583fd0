//! Start, stop and memory with the same Procfile under each runner. The programs are
//! shells that do nothing, so that what is left is the runner's own.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use integration_tests::{TestSystem, processes, promptly};
use rustix::process::Signal;

use crate::report::{Row, Table};
use crate::runners::{self, Runner};
use crate::statistics::{Sample, milliseconds};

/// Programs in the Procfile.
const PROGRAMS: usize = 4;

const ROUNDS: usize = 9;

const WITHIN: Duration = Duration::from_secs(30);

/// Without the use of any processor time.
const REST: Duration = Duration::from_millis(500);

/// Tells that it runs, by its process id, and waits.
const PROGRAM: &str = "echo $$ > started/$1.part && mv started/$1.part started/$1\n\
                       exec sleep 100000\n";

/// Start, stop and memory of each runner.
pub(crate) fn measure(runners: &[Runner]) -> Result<Vec<Table>> {
    let (mut start, mut stop, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for runner in runners {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(round(runner).with_context(|| runner.described())?);
        }
        let row = |pick: fn(&Round) -> f64| -> Result<Row> {
            let mut values = rounds.iter().map(pick);
            let sample = Sample::take(ROUNDS, || values.next().context("a round too few"))?;
            Ok(Row { subject: runner.name.to_owned(), sample, note: String::new() })
        };
        start.push(row(|round| milliseconds(round.start))?);
        stop.push(row(|round| milliseconds(round.stop))?);
        memory.push(row(|round| round.mebibytes)?);
    }
    let table = |title, how: &str, unit, rows| Table {
        title,
        how: how.replace("{n}", &PROGRAMS.to_string()),
        unit,
        less_is_better: true,
        rows,
    };
    Ok(vec![
        table(
            "Start of a Procfile",
            "From the start of the runner until all {n} programs run.",
            "ms",
            start,
        ),
        table(
            "Stop of a Procfile",
            "From Ctrl-C until the runner and all {n} programs have ended.",
            "ms",
            stop,
        ),
        table(
            "Memory of the runner",
            "Proportional set size of the runner's own processes while {n} programs run; with \
             Updraft that is the\nsupervisor and one guardian per program, which is what leaves \
             nothing behind after `kill -9`.",
            "MiB",
            memory,
        ),
    ])
}

struct Round {
    start: Duration,
    stop: Duration,
    mebibytes: f64,
}

fn round(runner: &Runner) -> Result<Round> {
    let system = TestSystem::empty()?;
    system.write("program.sh", PROGRAM)?;
    system.write("started/.keep", "")?;
    let names: Vec<String> = (1..=PROGRAMS).map(|number| format!("p{number}")).collect();
    let lines = names.iter().map(|name| format!("{name}: sh program.sh {name}\n"));
    system.write("Procfile", &lines.collect::<String>())?;
    let commands: Vec<_> = names.iter().map(|name| format!("sh program.sh {name}")).collect();
    system.write("procfile.sh", &runners::floor(&commands))?;

    let began = Instant::now();
    let mut child = runner.command(&system).stdout(Stdio::null()).spawn()?;
    let programs = started(&system, &names)?;
    let start = began.elapsed();

    let mut own = processes::tree(child.id())?;
    own.retain(|process| !programs.contains(&process.pid));
    let own: Vec<u32> = own.iter().map(|process| process.pid).collect();
    at_rest(&own)?;
    let memory: u64 = own.iter().filter_map(|pid| processes::memory(*pid)).sum();

    let began = Instant::now();
    processes::signal_group(child.id(), Signal::INT)?;
    ended(&mut child, &programs)?;
    Ok(Round { start, stop: began.elapsed(), mebibytes: memory as f64 / f64::from(1 << 20) })
}

/// The process ids of all programs, as soon as all of them run.
fn started(system: &TestSystem, names: &[String]) -> Result<Vec<u32>> {
    let files: Vec<PathBuf> =
        names.iter().map(|name| system.directory().join("started").join(name)).collect();
    promptly("all programs", WITHIN, || {
        let ids = files.iter().map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
        Ok(ids.collect::<Option<Vec<u32>>>())
    })
}

/// Waits until a runner has done what it does after a start: before that its memory is not
/// what it stays, and some runners do not take a signal well.
fn at_rest(runner: &[u32]) -> Result<()> {
    let ticks =
        || -> u64 { runner.iter().filter_map(|pid| processes::processor_ticks(*pid)).sum() };
    let (mut last, mut since) = (ticks(), Instant::now());
    promptly("a runner at rest", WITHIN, || {
        let now = ticks();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        Ok((since.elapsed() >= REST).then_some(()))
    })
}

fn ended(child: &mut Child, programs: &[u32]) -> Result<()> {
    promptly("the end of the runner", WITHIN, || Ok(child.try_wait()?))?;
    promptly("the end of the programs", WITHIN, || {
        Ok(programs.iter().all(|pid| processes::read(*pid).is_none()).then_some(()))
    })
}
