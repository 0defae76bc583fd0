//! Builds the process types and tasks of a service, and their probes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::Value;
use super::confinement::confinement;
use super::report::Report;
use super::tree::{self, Tree};
use super::{scaling, schedule};
use crate::audit::Audit;
use crate::{
    Beside, Confinement, Liveness, Name, Probe, ProbeKind, Process, Roll, Task, TaskTrigger,
};

const BOOT_BUDGET: Duration = Duration::from_secs(60);
const READY_EVERY: Duration = Duration::from_secs(1);
const LIVE_EVERY: Duration = Duration::from_secs(10);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
const FAILURES: u32 = 3;
const STOP: Duration = Duration::from_secs(10);

/// The process type whose port is where the URL of its service leads.
pub(super) const WEB: &str = "web";

/// The process types of a service that are sound.
pub(super) fn all(service: Tree<'_>, report: &mut Report<'_>) -> BTreeMap<Name, Process> {
    let short = service.text("run").and_then(|(run, _)| Some(plain(WEB.parse().ok()?, run, None)));
    let long = service
        .table("process")
        .named::<Name>()
        .filter_map(|(name, value)| process(name, value, report));
    short.into_iter().chain(long).map(|process| (process.name.clone(), process)).collect()
}

/// A process type of which only the command is told.
pub(super) fn plain(name: Name, run: &str, version: Option<Name>) -> Process {
    let serves = name.as_str() == WEB || version.is_some();
    let kind = if serves { ProbeKind::Tcp } else { ProbeKind::Started };
    let ready = probe(kind, None);
    Process {
        name,
        run: run.to_owned(),
        ready,
        live: None,
        scale: 1,
        stop: STOP,
        version,
        roll: Roll::default(),
        audit: Audit::default(),
        autoscale: None,
        confinement: Confinement::default(),
    }
}

fn process<'a>(name: Name, value: &'a Value<'a>, report: &mut Report<'_>) -> Option<Process> {
    if let Some((run, _)) = tree::text(value) {
        return Some(plain(name, run, None));
    }
    let table = Tree::of(value);
    let confinement = confinement(table, report);
    let mut process = plain(name, table.text("run")?.0, table.read("version"));
    if let Some(ready) = table.value("ready") {
        process.ready = readiness(ready)?;
    }
    if let Some(live) = table.value("live") {
        process.live = Some(liveness(live)?);
    }
    process.autoscale = scaling::rule(table);
    let least = process.autoscale.as_ref().map(|rule| rule.min);
    process.scale = table.whole("scale").or(least).unwrap_or(process.scale);
    process.stop = table.duration("stop").unwrap_or(process.stop);
    process.confinement = confinement;
    process.roll = table.value("roll").map_or(process.roll, roll);
    Some(process)
}

/// The check against the table of keys lets no other word through than `exclusive`.
fn roll<'a>(value: &'a Value<'a>) -> Roll {
    if tree::text(value).is_some() {
        return Roll::Exclusive;
    }
    let (table, default) = (Tree::of(value), Beside::default());
    Roll::Beside(Beside {
        surge: table.whole("surge").unwrap_or(default.surge),
        ready: table.whole("ready").unwrap_or(default.ready),
        settle: table.duration("settle").unwrap_or(default.settle),
    })
}

fn readiness<'a>(value: &'a Value<'a>) -> Option<Probe> {
    if let Some((path, _)) = tree::text(value) {
        return Some(probe(ProbeKind::Http(path.to_owned()), None));
    }
    let table = Tree::of(value);
    let http = || table.text("http").map(|(path, _)| ProbeKind::Http(path.to_owned()));
    let log = || table.text("log").map(|(regex, _)| ProbeKind::Log(regex.to_owned()));
    let tcp = || table.value("tcp").map(|_| ProbeKind::Tcp);
    Some(probe(http().or_else(log).or_else(tcp)?, Some(table)))
}

fn probe(kind: ProbeKind, table: Option<Tree<'_>>) -> Probe {
    let span = |key| table.and_then(|table| table.duration(key));
    Probe {
        kind,
        within: span("within").unwrap_or(BOOT_BUDGET),
        every: span("every").unwrap_or(READY_EVERY),
        timeout: span("timeout").unwrap_or(PROBE_TIMEOUT),
        failures: table.and_then(|table| table.whole("failures")).unwrap_or(FAILURES),
    }
}

fn liveness<'a>(value: &'a Value<'a>) -> Option<Liveness> {
    let table = Tree::of(value);
    let (path, _) = tree::text(value).or_else(|| table.text("http"))?;
    Some(Liveness {
        path: path.to_owned(),
        every: table.duration("every").unwrap_or(LIVE_EVERY),
        timeout: table.duration("timeout").unwrap_or(PROBE_TIMEOUT),
        failures: table.whole("failures").unwrap_or(FAILURES),
    })
}

/// The tasks of a service that are sound.
pub(super) fn tasks(service: Tree<'_>, report: &mut Report<'_>) -> BTreeMap<Name, Task> {
    let tasks = service.table("task").named::<Name>();
    let mut task = |name: Name, value| Some((name.clone(), task(name, Tree::of(value), report)?));
    tasks.filter_map(|(name, value)| task(name, value)).collect()
}

fn task(name: Name, table: Tree<'_>, report: &mut Report<'_>) -> Option<Task> {
    let confinement = confinement(table, report);
    let run = table.text("run")?.0.to_owned();
    let when = match table.text("when").map(|(when, _)| when) {
        Some("release") => TaskTrigger::Release,
        _ => TaskTrigger::Manual,
    };
    let (schedule, tty) = (schedule::schedule(table), table.flag("tty").unwrap_or_default());
    let timeout = table.duration("timeout");
    Some(Task { name, run, when, timeout, schedule, tty, confinement })
}
