//! A program under judgement: its processes, its sockets, what it says, and what was done to it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use updraft_engine::{Exit, ProcessId, Scope};

use super::attached::Provided;
use super::client::{Connection, Request};
use super::output::{LAST_WORDS, Output};
use super::own_port::Turn;
use super::ports::Port;
use super::process::{self, Reception};
use super::sockets::{self, Listening};
use super::stage::{Stage, Unstartable};
use super::tree::{self, Change};
use super::{Address, Attached};
use crate::launch::{Executed, Sought, Spec, Status};
use crate::report::{Lane, Moment};
use crate::role::is_starter;
use crate::subject::{Serves, Subject};

/// A program that serves nothing is believed to work when it listens to SIGTERM, or has run for
/// so long.
const SETTLED: Duration = Duration::from_secs(2);
/// From one look at a program to the next.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long its own port is waited for when it listens elsewhere already.
const ELSEWHERE_AFTER: Duration = Duration::from_secs(2);
/// How long its last lines may take where what it has started may hold the pipes for ever.
const LAST_WORDS_OF_SOME: Duration = Duration::from_millis(500);
/// Last lines of a program that did not come up.
const TAIL: usize = 60;
/// How long after its first listener one at its port may come.
const OWN_PORT_WITHIN: Duration = Duration::from_secs(1);
/// How long one question whether it is ready may take.
const QUESTION: Duration = Duration::from_secs(2);

/// A program under judgement. Dropped, it is killed with all that it has started.
#[derive(Debug)]
pub(crate) struct Running {
    scope: Scope,
    spec: Spec,
    port: Port,
    /// Where it answers; at its port on loopback as long as nothing else is known.
    address: Address,
    serves: Serves,
    ready_path: String,
    any_answer: bool,
    /// Since when it has listened, and not at the port that it was given.
    elsewhere_since: Option<Instant>,
    provided: Provided,
    output: Output,
    began: Instant,
    timeline: Arc<Mutex<Vec<Moment>>>,
    place: PathBuf,
    /// Nobody else of its kind runs as long as it is held.
    turn: Option<Turn>,
    /// Since when it has listened elsewhere only.
    elsewhere: Option<Instant>,
    /// Whether it is known to listen where it wants to.
    own_port: bool,
}

/// How a program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Together with what guarded it: nobody knows.
    Lost,
}

impl Running {
    pub(super) fn new(
        subject: &Subject,
        scope: Scope,
        stage: Stage,
        output: Output,
        began: Instant,
    ) -> Self {
        let Stage { place, spec, port, provided, .. } = stage;
        let address = provided.network.at((Ipv4Addr::LOCALHOST, port.number).into());
        Self {
            scope,
            spec,
            port,
            address,
            serves: subject.serves,
            ready_path: subject.ready.clone().unwrap_or_else(|| "/".to_owned()),
            any_answer: subject.ready.is_none(),
            elsewhere_since: None,
            provided,
            output,
            began,
            timeline: Arc::default(),
            place,
            turn: None,
            elsewhere: None,
            own_port: false,
        }
    }

    /// Waits until it answers, or runs where it serves nothing.
    pub(crate) async fn ready(&mut self, within: Duration) -> Result<(), Unstartable> {
        let until = Instant::now() + within;
        loop {
            if let Some(reason) = self.refusal() {
                return Err(Unstartable::Machine(reason));
            }
            if let Some(ended) = self.ended_now() {
                let left = !self.program().is_empty();
                let within = if left { LAST_WORDS_OF_SOME } else { LAST_WORDS };
                self.output.drained(within).await;
                let tail = self.output.tail(TAIL);
                return Err(Unstartable::Ended { ended: ended.to_string(), tail });
            }
            if self.answers().await {
                self.note(Lane::Program, "ready");
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Unstartable::NotReady { within, tail: self.output.tail(TAIL) });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn answers(&mut self) -> bool {
        if self.serves == Serves::Nothing {
            let settled = self.reception() == Reception::Handled || SETTLED < self.elapsed();
            return settled && self.is_begun() && !self.program().is_empty();
        }
        let Some(address) = self.find_address() else { return false };
        self.address = address.clone();
        // What listens first may be a debugger or its metrics, and its port come a moment later.
        if self.listens_elsewhere() {
            let since = *self.elsewhere_since.get_or_insert_with(Instant::now);
            if since.elapsed() < OWN_PORT_WITHIN {
                return false;
            }
        }
        let asked = Request::get(&self.ready_path).send(address, QUESTION).await;
        asked.is_ok_and(
            |answer| {
                if self.any_answer { answer.status < 500 } else { answer.is_success() }
            },
        )
    }

    /// Where the program listens: at its port, or where it wants to.
    fn find_address(&mut self) -> Option<Address> {
        let all = self.listening();
        let own = all.iter().find(|it| it.address.port() == self.port.number);
        // Debuggers and metrics come beside the port, and often before it; they must not be
        // asked. Without it the lowest is taken in the end.
        if own.is_none() && !all.is_empty() && !self.own_port {
            let since = *self.elsewhere.get_or_insert_with(Instant::now);
            if since.elapsed() < ELSEWHERE_AFTER {
                return None;
            }
        }
        let chosen = own.or_else(|| all.first())?.address;
        Some(self.provided.network.at(chosen).reached())
    }

    /// Whether it answers at another port than it was given.
    pub(super) fn listens_elsewhere(&self) -> bool {
        self.serves == Serves::Http && self.address.port() != self.port.number
    }

    /// Whether it is known to have a port of its own.
    pub(super) fn listens_where_it_wants(&mut self, own_port: bool) {
        self.own_port = own_port;
    }

    /// Whom it has looked for so far, where it is watched.
    pub(crate) async fn sought(&self) -> std::io::Result<Vec<Sought>> {
        self.provided.network.sought().await
    }

    /// Keeps others of its kind from being started meanwhile.
    pub(super) fn keep(&mut self, turn: Option<Turn>) {
        self.turn = turn;
    }

    /// What its processes listen on.
    pub(crate) fn listening(&self) -> Vec<Listening> {
        sockets::listening(&self.program())
    }

    /// Its processes, the program's own first; without what started it.
    pub(crate) fn program(&self) -> Vec<ProcessId> {
        let launcher = self.spec.stays_beside().then(|| self.scope.leader());
        let mut members = self.scope.members();
        members.retain(|member| Some(*member) != launcher);
        if let Some(leader) = self.leader()
            && let Some(at) = members.iter().position(|member| *member == leader)
        {
            members.swap(0, at);
        }
        members
    }

    /// The process that the platform knows: it gets the signals. `None`: not yet.
    pub(crate) fn leader(&self) -> Option<ProcessId> {
        if !self.spec.stays_beside() {
            return Some(self.scope.leader());
        }
        match Status::read(&self.spec.status) {
            Status::Running { pid } => ProcessId::of(pid),
            _ => None,
        }
    }

    /// Whether the process that the platform knows is the program itself, and no longer what
    /// starts it: that blocks or handles signals, and its end is no answer of the program.
    pub(crate) fn is_begun(&self) -> bool {
        let words = self.leader().map(process::command).unwrap_or_default();
        !words.is_empty() && !is_starter(&words)
    }

    /// Why it could not be run that way; `None`: it could.
    pub(super) fn refusal(&self) -> Option<String> {
        match Status::read(&self.spec.status) {
            Status::Refused { reason } => Some(reason),
            _ => None,
        }
    }

    /// What becomes of a SIGTERM to the process that the platform knows.
    pub(crate) fn reception(&self) -> Reception {
        let signal = Signal::TERM;
        self.leader().map_or(Reception::Gone, |it| Reception::of(it, self.spec.shape, signal))
    }

    /// Those of its processes that listen where it answers.
    pub(crate) fn servers(&self) -> Vec<ProcessId> {
        let port = self.address.port();
        let serves = |it: &ProcessId| {
            sockets::listening(&[*it]).iter().any(|socket| socket.address.port() == port)
        };
        self.program().into_iter().filter(serves).collect()
    }

    /// The folder that it writes into: the copy, or what lies over the original.
    pub(crate) fn copy(&self) -> &Path {
        self.written().unwrap_or(&self.spec.folder)
    }

    /// Whether one of its processes has accepted a connection and read all that was sent.
    pub(crate) fn has_read(&self, connection: &Connection) -> bool {
        sockets::end(&self.program(), connection.local).is_some_and(|end| end.unread == 0)
    }

    /// What was written for a client and is still underway; `None`: nobody has its connection.
    pub(crate) fn unsent(&self, connection: &Connection) -> Option<u64> {
        sockets::end(&self.program(), connection.local).map(|end| end.unsent)
    }

    /// Signals the process that the platform knows, and nobody else.
    pub(crate) fn signal(&self, signal: Signal) {
        let name = if signal == Signal::TERM { "SIGTERM" } else { "SIGKILL" };
        if let Some(leader) = self.leader() {
            self.note(Lane::Audit, format!("{name} to process {}", leader.pid));
            leader.signal(signal);
        }
    }

    /// How the program has ended, if it has.
    pub(crate) fn ended_now(&mut self) -> Option<Ended> {
        use futures_util::FutureExt as _;
        let exit = self.scope.ended().now_or_never()?;
        Some(self.ended_as(exit))
    }

    fn ended_as(&self, exit: Exit) -> Ended {
        match (self.spec.stays_beside(), Status::read(&self.spec.status), exit) {
            (true, Status::Ended { code: Some(code), .. }, _) => Ended::Code(code),
            (true, Status::Ended { signal: Some(signal), .. }, _) => Ended::Signal(signal),
            (_, _, Exit::Code(code)) => Ended::Code(code),
            (_, _, Exit::Signal(signal)) => Ended::Signal(signal),
            (_, _, Exit::OutOfMemory | Exit::MemoryLimit(_)) => {
                Ended::Signal(Signal::KILL.as_raw())
            }
            (_, _, Exit::GuardLost) => Ended::Lost,
        }
    }

    /// Waits until the program has ended; its descendants may live on. `None`: it has not.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<Ended> {
        let exit = tokio::time::timeout(within, self.scope.ended()).await.ok()?;
        let ended = self.ended_as(exit);
        self.note(Lane::Program, format!("the program ended: {ended}"));
        Some(ended)
    }

    /// Waits until all of it is gone; false: something is left.
    pub(crate) async fn gone(&mut self, within: Duration) -> bool {
        let gone = tokio::time::timeout(within, self.scope.emptied()).await.is_ok();
        if gone {
            self.note(Lane::Program, "nothing of it is left");
        }
        gone
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> Address {
        self.address.clone()
    }

    /// The port that it was given.
    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    /// What it writes.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// The resources it uses.
    pub(crate) fn attached(&self) -> &[Attached] {
        &self.provided
    }

    /// The same with the network in which they are, for another copy.
    pub(crate) fn provided(&self) -> Provided {
        self.provided.clone()
    }

    /// The files that it has written into its folder, as a tree; with a plain copy, the copy.
    pub(crate) fn written(&self) -> Option<&Path> {
        self.spec.overlay.as_ref().map(|overlay| overlay.upper.as_path())
    }

    /// What it has created, changed and removed in its folder so far. `original` is what its
    /// folder is a copy of.
    pub(crate) fn changes(&self, original: &Path) -> std::io::Result<Vec<Change>> {
        match &self.spec.overlay {
            Some(overlay) => tree::of_overlay(&overlay.upper, &overlay.lower),
            None => {
                let lab = self.place.parent().unwrap_or(&self.place);
                tree::of_copy(&self.spec.folder, original, lab)
            }
        }
    }

    /// Which executables it has run so far, where it is traced.
    pub(crate) fn executed(&self) -> Vec<Executed> {
        self.spec.trace.as_deref().map(Executed::read).unwrap_or_default()
    }

    /// Where the copy of its folder is for itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.spec.folder
    }

    /// The folder of the trial.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Since it was started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Puts a moment into the timeline of the trial.
    pub(crate) fn note(&self, lane: Lane, what: impl Into<String>) {
        let moment = Moment::new(self.began.elapsed(), lane, what);
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
    }

    /// What happened so far, with what it wrote.
    pub(crate) fn timeline(&self) -> Vec<Moment> {
        const LINES_MAX: usize = 30;
        let mut all = self.timeline.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lines = self.output.all();
        let shown = lines.iter().take(LINES_MAX);
        all.extend(shown.map(|line| Moment::new(line.at, Lane::Output, line.text.clone())));
        all.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
        all
    }

    /// Kills what is left of it and waits until it is gone.
    pub(crate) async fn end(mut self) -> Vec<Moment> {
        let timeline = self.timeline();
        self.scope.kill().await;
        drop(self.turn.take());
        timeline
    }
}

impl Ended {
    /// Whether it has ended because and as it was asked to: by itself with 0 or 143, or by
    /// SIGTERM itself.
    pub(crate) fn is_orderly(self) -> bool {
        self == Self::Code(0)
            || self == Self::Code(128 + Signal::TERM.as_raw())
            || self == Self::Signal(Signal::TERM.as_raw())
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match signal_hook::low_level::signal_name(*number) {
                Some(name) => write!(f, "killed by {name}"),
                None => write!(f, "killed by signal {number}"),
            },
            Self::Lost => f.write_str("nobody knows how"),
        }
    }
}
