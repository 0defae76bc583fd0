//! What can be wrong with a server for tests, and what to do about it.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::Kind;

/// A server could not be started or used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A program is missing.
    #[error("this test needs the program `{program}`: install {packages}")]
    NotInstalled {
        /// What was looked for in `PATH`, and where systems put servers.
        program: &'static str,
        /// The packages that have it.
        packages: &'static str,
    },
    /// A file or folder.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A program did not run.
    #[error("cannot run `{}`", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("`{}` failed: {said}", program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// The end of what it said.
        said: String,
    },
    /// It ended instead of starting.
    #[error("{kind} ended with {status} instead of starting: {said}")]
    Ended {
        /// What it is.
        kind: Kind,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        said: String,
    },
    /// It runs, and does not answer.
    #[error("{kind} is not ready after {waited:?}: {said}")]
    NotReady {
        /// What it is.
        kind: Kind,
        /// How long it had.
        waited: Duration,
        /// The end of its log.
        said: String,
    },
    /// It did not end when asked to, and was killed.
    #[error("{kind} did not end within {waited:?} and was killed")]
    StillRunning {
        /// What it is.
        kind: Kind,
        /// How long it had.
        waited: Duration,
    },
    /// It is stopped.
    #[error("{kind} is not running; start it with `restart`")]
    NotRunning {
        /// What it is.
        kind: Kind,
    },
    /// Other tests use it.
    #[error("other tests share this {kind} server; use `Server::start` for one of your own")]
    Shared {
        /// What it is.
        kind: Kind,
    },
    /// No part of it is free.
    #[error("all {most} databases of the {kind} server are in use")]
    Occupied {
        /// What it is.
        kind: Kind,
        /// How many there are.
        most: u32,
    },
    /// It does not do what it was asked for.
    #[error("{kind} refuses to {action}: {said}")]
    Refused {
        /// What it is.
        kind: Kind,
        /// What it was asked for.
        action: &'static str,
        /// What it said.
        said: String,
    },
    /// It cannot be spoken to.
    #[error("cannot speak to {kind}")]
    Connection {
        /// What it is.
        kind: Kind,
        /// Why not.
        source: std::io::Error,
    },
}

impl ServerError {
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(super) fn connection(kind: Kind) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Connection { kind, source }
    }
}
