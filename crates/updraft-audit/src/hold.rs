//! Holds a request in a program that nobody knows: the program has taken it, and cannot answer
//! before the audit lets it. There are several ways, and the first that works is taken.
//!
//! Nothing here believes that a request is held because it was sent: the kernel has to say that
//! the program has read it, and no answer may have come.

mod body;
mod burst;
mod reader;
mod slow;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use updraft_engine::ProcessId;
use updraft_mesh::instrument::{Instrument, Setting};

use crate::lab::Running;
use crate::lab::client::{Answer, Connection, Lost, Request};
use crate::probe::Bench;
use crate::subject::{Ask, Subject};

/// How long a request has to stay without an answer before it counts as held.
const SETTLED: Duration = Duration::from_millis(150);
/// How long a program may take to accept a connection and to read what was sent.
const TAKEN: Duration = Duration::from_secs(1);
/// How long an undisturbed request may take.
const UNDISTURBED: Duration = Duration::from_secs(2);
/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How a request is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is known to be slow.
    Slow,
    /// The reply of a resource is held back: this one.
    Resource(String),
    /// Half of its body was sent.
    HalfBody,
    /// Its answer is larger than what the kernel takes, and nobody reads it.
    Unread,
    /// The program was stopped while it was under way.
    Burst,
}

/// Requests that a program has taken and not answered.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) way: Way,
    /// What was asked, as in the first line of a request.
    pub(crate) what: String,
    /// The status of the answer where nothing disturbs.
    pub(crate) undisturbed: Option<u16>,
    connections: Vec<Connection>,
    gate: Gate,
}

/// What the audit does to let a request go.
#[derive(Debug)]
enum Gate {
    Nothing,
    Wires(Vec<Arc<Instrument>>),
    Rest(Vec<u8>),
    Unread,
    Stopped(Vec<ProcessId>),
}

impl Held {
    fn one(way: Way, request: &Request, connection: Connection, gate: Gate) -> Self {
        let what = format!("{} {}", request.method, request.target);
        Self { way, what, undisturbed: None, connections: vec![connection], gate }
    }

    /// How many requests are held.
    pub(crate) fn count(&self) -> usize {
        self.connections.len()
    }

    /// Whether the program itself is stopped: it can react to nothing before it goes on.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.gate, Gate::Stopped(_))
    }

    /// Waits for what comes although the request is held: a lost connection, most likely.
    pub(crate) async fn early(&mut self, within: Duration) -> Option<Result<Answer, Lost>> {
        if matches!(self.gate, Gate::Unread) {
            tokio::time::sleep(within).await;
            return None;
        }
        let connection = self.connections.first_mut()?;
        tokio::time::timeout(within, connection.answer(false)).await.ok()
    }

    /// Lets the requests go on.
    pub(crate) async fn let_go(&mut self) {
        match std::mem::replace(&mut self.gate, Gate::Nothing) {
            Gate::Nothing | Gate::Unread => {}
            Gate::Wires(wires) => wires.iter().for_each(|wire| wire.set(Setting::Pass)),
            Gate::Rest(rest) => {
                if let Some(connection) = self.connections.first_mut() {
                    // Whether it was lost is seen when the answer is read.
                    drop(connection.write(&rest).await);
                }
            }
            Gate::Stopped(processes) => resume(&processes),
        }
    }

    /// The answers, or what became of them.
    pub(crate) async fn answers(&mut self, within: Duration) -> Vec<Result<Answer, Lost>> {
        let each = self.connections.iter_mut().map(|connection| async move {
            let answer = tokio::time::timeout(within, connection.answer(false)).await;
            answer.unwrap_or(Err(Lost::TimedOut(within)))
        });
        futures_util::future::join_all(each).await
    }
}

/// Holds a request in the first way that works; otherwise says why none does.
pub(crate) async fn hold(bench: &Bench, running: &Running) -> Result<Held, String> {
    let mut tried = Vec::new();
    match slow::hold(bench, running).await {
        Ok(held) => return Ok(held),
        Err(reason) => tried.push(reason),
    }
    match wire::hold(bench, running).await {
        Ok(held) => return Ok(held),
        Err(reason) => tried.push(reason),
    }
    match body::hold(bench, running).await {
        Ok(held) => return Ok(held),
        Err(reason) => tried.push(reason),
    }
    match reader::hold(bench, running).await {
        Ok(held) => return Ok(held),
        Err(reason) => tried.push(reason),
    }
    match burst::hold(bench, running).await {
        Ok(held) => return Ok(held),
        Err(reason) => tried.push(reason),
    }
    Err(tried.join("; "))
}

/// Waits until the program has read a request and has had time to answer; false: it has
/// answered, or never read it.
async fn stays(bench: &Bench, running: &Running, connection: &mut Connection) -> bool {
    let read = async {
        while !running.has_read(connection) {
            if !connection.is_silent().await {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        true
    };
    let read = tokio::time::timeout(bench.limit(TAKEN), read).await;
    if !read.unwrap_or(false) {
        return false;
    }
    tokio::time::sleep(bench.limit(SETTLED)).await;
    connection.is_silent().await && running.has_read(connection)
}

/// The status where nothing disturbs; `None`: none that a program should give.
async fn undisturbed(bench: &Bench, running: &Running, request: &Request) -> Option<u16> {
    let sent = request.send(running.address(), bench.limit(UNDISTURBED)).await;
    sent.ok().map(|answer| answer.status).filter(|status| *status < 500)
}

/// What can be asked without changing anything, the likeliest to be worth something first.
fn reading(subject: &Subject) -> Vec<Request> {
    let steps = subject.journey.iter().map(|step| &step.ask);
    let steps = steps.filter(|ask| ask.method == "GET" && !ask.path.contains('{'));
    let paths = steps.map(|ask| ask.path.clone());
    // What says whether it is ready may say no from SIGTERM on, as it should.
    let known = [Some("/".to_owned()), subject.ready.clone()];
    let mut all: Vec<String> = paths.chain(known.into_iter().flatten()).collect();
    let mut seen = std::collections::HashSet::new();
    all.retain(|path| seen.insert(path.clone()));
    all.iter().map(|path| Request::get(path)).collect()
}

fn request(ask: &Ask) -> Request {
    let mut request = match &ask.json {
        Some(json) => Request::post(&ask.path, "application/json", json.as_bytes()),
        None => Request::get(&ask.path),
    };
    request.method.clone_from(&ask.method);
    request
}

fn resume(processes: &[ProcessId]) {
    for process in processes.iter().rev() {
        process.signal(Signal::CONT);
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow => f.write_str("declared slow"),
            Self::Resource(name) => write!(f, "held by the reply of `{name}`"),
            Self::HalfBody => f.write_str("held by half of its body"),
            Self::Unread => f.write_str("held by not reading its answer"),
            Self::Burst => f.write_str("caught under way in a burst of requests"),
        }
    }
}
