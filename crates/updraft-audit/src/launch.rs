//! How a program comes into the surroundings that a probe wants: a fresh copy of its folder, a
//! process namespace where it is the first, a network in which nobody is, a read-only root.
//!
//! The scope starts this same executable in the role of a launcher, which reads a [`Spec`],
//! prepares, and becomes the program (as a child) or starts it (as the first process). Nothing
//! here touches the caller's own files: mounts are private to the program.

mod enclosure;
mod namespace;
mod network;
mod spec;
mod trace;
mod watch;

use std::fs;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::role::VERB;
use crate::verdict::Shape;

pub(crate) use enclosure::{ASK_FORGET, ASK_V4, ASK_V6, READY, Reply, main as hold_networks};
pub(crate) use spec::{Joined, Overlay, ReadOnly, Spec, Status};
pub(crate) use trace::Executed;
pub(crate) use watch::Sought;

/// The exit code of a launcher that could not do what its spec asks for.
pub(crate) const REFUSED: u8 = 125;

/// Prepares what the spec asks for, and becomes the program or starts it.
pub(crate) fn main(path: &Path) -> io::Result<ExitCode> {
    let spec = Spec::read(path)?;
    namespace::prepare(&spec)
        .map_err(|error| refused(&spec, format!("cannot prepare its surroundings: {error}")))?;
    match (spec.shape, &spec.trace) {
        (Shape::Child, Some(log)) => trace::observe(&spec, path, log),
        (Shape::Child, None) => Err(become_program(&spec)),
        (Shape::Pid1, _) => first_process(&spec, path),
    }
}

/// The process that is traced, before it becomes the program.
pub(crate) fn traced_main(path: &Path) -> io::Result<ExitCode> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let spec = Spec::read(path)?;
    trace::wait_for_tracer()?;
    Err(become_program(&spec))
}

/// The first process of the namespace, before it becomes the program.
pub(crate) fn init_main(path: &Path) -> io::Result<ExitCode> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let spec = Spec::read(path)?;
    namespace::mount_proc()
        .and_then(|()| namespace::drop_ambient())
        .map_err(|error| refused(&spec, format!("cannot become the first process: {error}")))?;
    Err(become_program(&spec))
}

/// Only returns when the program cannot be run.
fn become_program(spec: &Spec) -> io::Error {
    let Some((program, rest)) = spec.argv.split_first() else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    if let Some(mask) = spec.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
    }
    let error = Command::new(program).args(rest).current_dir(&spec.folder).exec();
    refused(spec, format!("cannot run `{program}`: {error}"))
}

/// Starts the program as the first process of the new namespace, and ends as it ends.
fn first_process(spec: &Spec, path: &Path) -> io::Result<ExitCode> {
    let mut child = Command::new("/proc/self/exe").args([VERB, "init"]).arg(path).spawn()?;
    Status::Running { pid: child.id() }.write(&spec.status)?;
    let status = child.wait()?;
    ended(spec, status.code(), status.signal())
}

/// Says how a program ended, and how the launcher has to end.
fn ended(spec: &Spec, code: Option<i32>, signal: Option<i32>) -> io::Result<ExitCode> {
    // A program that could not begin has said so itself.
    if !(code == Some(i32::from(REFUSED)) && Status::read(&spec.status).is_refused()) {
        Status::Ended { code, signal }.write(&spec.status)?;
    }
    let code = code.or_else(|| signal.map(|signal| 128 + signal)).unwrap_or(i32::from(REFUSED));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(REFUSED)))
}

fn refused(spec: &Spec, reason: String) -> io::Error {
    // Whoever waits sees the exit code in any case.
    drop(Status::Refused { reason: reason.clone() }.write(&spec.status));
    io::Error::other(reason)
}

impl Spec {
    fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }
}
