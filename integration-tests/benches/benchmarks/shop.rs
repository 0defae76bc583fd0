//! The shop: how long from `up` to ready, against the slowest program's own start, and
//! how much memory Updraft itself takes while the shop runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use integration_tests::{Row as Process, TestSystem, Turn, http, processes, promptly, repository};
use rustix::process::Signal;

use crate::report::{Row, Table};
use crate::statistics::{Sample, milliseconds};

const ROUNDS: usize = 5;
const WITHIN: Duration = Duration::from_secs(60);

/// Start and memory of the shop.
pub(crate) fn measure() -> Result<Vec<Table>> {
    let _turn = Turn::take("shop")?;
    let system = TestSystem::at(&repository().join("examples/shop"))?.optimised()?;
    // Builds what there is to build, so that the rounds measure the start alone.
    system.ok(&["up", "-d"])?;
    let programs: Vec<Program> = system.ps()?.iter().filter_map(Program::of).collect();
    ensure!(programs.len() >= 3, "the shop has lost its programs");
    let memory = Sample::take(ROUNDS, || own_memory(&system, &programs))?;
    system.ok(&["down"])?;

    let mut slowest: Option<(f64, Row)> = None;
    for program in programs.iter().filter(|program| program.serves) {
        let sample = Sample::take(ROUNDS, || program.own_start())?;
        let median = sample.median()?;
        if slowest.as_ref().is_none_or(|(most, _)| median > *most) {
            let subject = format!("{} alone, the slowest", program.name);
            slowest = Some((median, Row { subject, sample, note: String::new() }));
        }
    }
    let (_, slowest) = slowest.context("no program serves HTTP")?;
    let up = Sample::take(ROUNDS, || {
        let began = Instant::now();
        system.ok(&["up", "-d"])?;
        let took = milliseconds(began.elapsed());
        system.ok(&["down"])?;
        Ok(took)
    })?;
    let note =
        format!("{} processes, of which some come after a task; nothing is built", programs.len());
    let start = Table {
        title: "Start of the shop",
        how: "From `updraft up -d`, with everything built, until every process is ready; against \
              the time\nthat the slowest program of the shop needs by itself until it answers its \
              readiness probe."
            .to_owned(),
        unit: "ms",
        less_is_better: true,
        rows: vec![slowest, Row { subject: "updraft up -d".to_owned(), sample: up, note }],
    };
    Ok(vec![start, memory_table(memory)])
}

fn memory_table(sample: Sample) -> Table {
    let aim = Sample::take(1, || Ok(30.0));
    let aim = aim.map(|sample| Row { subject: "the aim".to_owned(), sample, note: String::new() });
    let used = Row {
        subject: "updraft".to_owned(),
        sample,
        note: "supervisor and guardians together".to_owned(),
    };
    Table {
        title: "Memory while the shop runs",
        how: "Proportional set size of all of Updraft's own processes. There is no floor here: \
              the first row is\nthe aim."
            .to_owned(),
        unit: "MiB",
        less_is_better: true,
        rows: aim.into_iter().chain([used]).collect(),
    }
}

/// Everything that runs is either a program of the shop, or Updraft's own.
fn own_memory(system: &TestSystem, programs: &[Program]) -> Result<f64> {
    let theirs: Vec<u32> = programs.iter().map(|program| program.pid).collect();
    let own = system.processes()?;
    let bytes: u64 = own
        .iter()
        .filter(|process| !theirs.contains(&process.pid))
        .filter_map(|process| processes::memory(process.pid))
        .sum();
    Ok(bytes as f64 / f64::from(1 << 20))
}

/// A program of the shop, with all that it takes to start it by hand.
struct Program {
    name: String,
    pid: u32,
    words: Vec<String>,
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    serves: bool,
}

impl Program {
    fn of(row: &Process) -> Option<Self> {
        let pid = row.pid?;
        let words = strings(&fs::read(format!("/proc/{pid}/cmdline")).ok()?);
        let environment = strings(&fs::read(format!("/proc/{pid}/environ")).ok()?)
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Some(Self {
            name: format!("{}.{}", row.service, row.process),
            pid,
            words,
            folder: fs::read_link(format!("/proc/{pid}/cwd")).ok()?,
            environment,
            serves: row.url.is_some(),
        })
    }

    /// From its start until its readiness probe says yes, in milliseconds.
    fn own_start(&self) -> Result<f64> {
        let (program, words) = self.words.split_first().context("an empty command line")?;
        let port = self.environment.get("PORT").context("it has a port")?;
        let probe = format!("http://127.0.0.1:{port}/readyz");
        let began = Instant::now();
        let mut child = Command::new(program)
            .args(words)
            .current_dir(&self.folder)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{program} cannot be started"))?;
        let ready = promptly("its readiness", WITHIN, || {
            Ok(http::get(&probe).is_ok_and(|answer| answer.status == 200).then_some(()))
        });
        let took = milliseconds(began.elapsed());
        processes::signal(child.id(), Signal::KILL)?;
        child.wait()?;
        ready.map(|()| took)
    }
}

fn strings(block: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(block).split_terminator('\0').map(str::to_owned).collect()
}
