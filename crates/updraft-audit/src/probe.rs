//! The probes that run a program, and what they have in common.

mod addr;
mod admin;
mod amnesia;
mod clean;
mod contract;
mod cut;
mod drain;
mod duck;
mod early;
mod egress;
mod env;
mod exec;
mod exercise;
mod extra;
mod file;
mod foreground;
mod forward;
mod group;
mod idle;
mod jobs;
mod kill;
mod late;
mod leak;
mod libs;
mod logfile;
mod malformed;
mod nobuild;
mod port;
mod pure;
mod readonly;
mod replicas;
mod repro;
mod required;
mod served;
mod shell;
mod split;
mod stall;
mod start;
mod stdout;
mod swap;
mod term;
mod trace;
mod traced;
mod twins;
mod unread;
mod user;
mod vary;
mod visit;
mod write;
mod written;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::{Feature, Lab, Running, Setup, Unstartable};
use crate::seen::Seen;
use crate::subject::{Serves, Subject};
use crate::verdict::{Shape, Verdict};

/// A probe that runs a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dynamic {
    /// Which.
    pub(crate) id: ProbeId,
    /// Says at once that there is nothing to judge, or that it cannot be judged.
    pub(crate) applies: fn(&Subject) -> Result<(), Seen>,
    /// One trial.
    pub(crate) look: fn(Bench) -> Looking,
    /// What the machine must offer, beside the shape.
    pub(crate) needs: &'static [Feature],
    /// What it must be able to tell apart: at least one that holds and one that does not.
    pub(crate) controls: &'static [Control],
}

/// A trial under way.
pub(crate) type Looking = Pin<Box<dyn Future<Output = Seen> + Send>>;

/// A program of our own whose verdict is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    /// What it does.
    pub(crate) behaviours: &'static [Behaviour],
    /// What the probe has to say of it.
    pub(crate) expected: Verdict,
    /// The shapes in which it is so; empty: in any.
    pub(crate) shapes: &'static [Shape],
    /// What is known of it beside its command: what it needs, its journey.
    pub(crate) prepare: fn(&mut Subject),
}

impl Control {
    /// One that holds, and one that does not.
    pub(crate) const fn pair(good: &'static [Behaviour], bad: &'static [Behaviour]) -> [Self; 2] {
        [Self::new(good, Verdict::Pass), Self::new(bad, Verdict::Fail)]
    }

    /// One with this verdict.
    pub(crate) const fn new(behaviours: &'static [Behaviour], expected: Verdict) -> Self {
        Self { behaviours, expected, shapes: &[], prepare: |_| {} }
    }

    /// In these shapes only.
    pub(crate) const fn only(self, shapes: &'static [Shape]) -> Self {
        Self { shapes, ..self }
    }

    /// With more that is known of it.
    pub(crate) const fn with(self, prepare: fn(&mut Subject)) -> Self {
        Self { prepare, ..self }
    }
}

/// All of them, in the order of the catalogue.
pub(crate) const DYNAMIC: &[&Dynamic] = &[
    &port::PORT,
    &term::TERM,
    &admin::SAME,
    &admin::FAIL,
    &admin::AGAIN,
    &drain::DRAIN,
    &forward::FORWARD,
    &start::START,
    &early::EARLY,
    &idle::IDLE,
    &duck::DUCK,
    &clean::CLEAN,
    &exec::EXEC,
    &libs::LIBS,
    &egress::EGRESS,
    &pure::PURE,
    &nobuild::NOBUILD,
    &repro::REPRO,
    &write::WRITE,
    &readonly::READONLY,
    &addr::ADDR,
    &extra::EXTRA,
    &env::ENV,
    &user::USER,
    &split::SPLIT,
    &served::SERVED,
    &kill::KILL,
    &foreground::FOREGROUND,
    &stdout::STDOUT,
    &logfile::LOGFILE,
    &unread::STALL,
    &trace::TRACE,
    &required::REQUIRED,
    &malformed::MALFORMED,
    &vary::VARY,
    &file::FILE,
    &leak::LEAK,
    &group::GROUP,
    &swap::SWAP,
    &late::LATE,
    &cut::CUT,
    &stall::STALL,
    &amnesia::AMNESIA,
    &twins::TWINS,
    &replicas::REPLICAS,
    &jobs::JOBS,
];

/// What one trial has: a program, a place to run it in, and how patient to be.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) subject: std::sync::Arc<Subject>,
    /// As what it runs.
    pub(crate) shape: Shape,
    /// By how much this machine is slower than time limits assume, at least 1.
    pub(crate) scale: f64,
    /// Whether the whole audit has to be over within 15 s. What cannot be seen in a few seconds
    /// is unknown then.
    pub(crate) quick: bool,
}

impl Bench {
    /// A time limit on this machine.
    pub(crate) fn limit(&self, limit: Duration) -> Duration {
        limit.mul_f64(self.scale)
    }

    /// How long the program may take to be ready before other probes give up. The one that
    /// judges its start has limits of its own.
    pub(crate) fn patience(&self) -> Duration {
        self.limit(self.subject.startup.max(Duration::from_secs(10)))
    }

    /// Starts the program as it is deployed.
    pub(crate) async fn start(&self) -> Result<Running, Seen> {
        self.start_with(&Setup::new(self.shape)).await
    }

    /// Starts the program in given surroundings. What does not come up cannot be judged by a
    /// probe that wants to see something else.
    pub(crate) async fn start_with(&self, setup: &Setup) -> Result<Running, Seen> {
        let started = self.lab.start(&self.subject, setup, self.patience()).await;
        started.map_err(|error| Seen::unknown(unready(&error)))
    }

    /// The same in the background; `$!` is the program itself.
    pub(crate) fn background(&self, port: u16) -> String {
        let Subject { port_variable, folder, .. } = &*self.subject;
        let folder = shell_words::quote(&folder.to_string_lossy()).into_owned();
        format!("(cd {folder} && exec env {port_variable}={port} {}) &", self.subject.line())
    }

    /// The command as it is pasted into a shell, at a port.
    pub(crate) fn pasted(&self, port: u16) -> String {
        let Subject { port_variable, folder, .. } = &*self.subject;
        let folder = shell_words::quote(&folder.to_string_lossy()).into_owned();
        format!("cd {folder} && {port_variable}={port} {}", self.subject.line())
    }
}

/// One sentence on why a program cannot be judged.
pub(crate) fn unready(error: &Unstartable) -> String {
    match error {
        Unstartable::Ended { tail, .. } | Unstartable::NotReady { tail, .. } => {
            let last = tail.iter().rev().find(|line| !line.is_empty());
            let last = last.map(|line| format!("; its last line: {line}")).unwrap_or_default();
            format!("{error}{last}")
        }
        _ => error.to_string(),
    }
}

pub(crate) use contract::completed;

/// For probes that ask by HTTP.
pub(crate) fn serves_http(subject: &Subject) -> Result<(), Seen> {
    match subject.serves {
        Serves::Http => Ok(()),
        Serves::Nothing => Err(Seen::not_applicable("it serves nothing on a port")),
    }
}

/// For probes that judge every program.
pub(crate) fn always(_subject: &Subject) -> Result<(), Seen> {
    Ok(())
}
