//! What a launcher is told, and what it tells.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::verdict::Shape;

/// The surroundings of a program. Its environment is the launcher's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// The program and its arguments.
    pub(crate) argv: Vec<String>,
    /// The folder it starts in.
    pub(crate) folder: PathBuf,
    /// As what it runs.
    pub(crate) shape: Shape,
    /// A fresh copy of a folder, at the place of the folder itself.
    pub(crate) overlay: Option<Overlay>,
    /// A root that cannot be written.
    pub(crate) read_only: Option<ReadOnly>,
    /// Files and folders that are empty for the program.
    pub(crate) masked: Vec<PathBuf>,
    /// Files that stand in the place of others: first what is shown, then where.
    pub(crate) shown: Vec<(PathBuf, PathBuf)>,
    /// The network it is in; `None`: that of the audit.
    pub(crate) network: Option<Joined>,
    /// Another name of the machine.
    pub(crate) hostname: Option<String>,
    /// Its file mode creation mask.
    pub(crate) umask: Option<u32>,
    /// Where every executable is noted that it runs, as lines of JSON; `None`: it is not
    /// traced. As a child only.
    pub(crate) trace: Option<PathBuf>,
    /// Where the launcher says what became of it.
    pub(crate) status: PathBuf,
}

impl Spec {
    /// Whether the launcher stays beside the program instead of becoming it.
    pub(crate) fn stays_beside(&self) -> bool {
        self.shape == Shape::Pid1 || self.trace.is_some()
    }
}

/// Folders of an overlay file system (`Documentation/filesystems/overlayfs.rst`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Overlay {
    /// What it is a copy of.
    pub(crate) lower: PathBuf,
    /// Gets what is written.
    pub(crate) upper: PathBuf,
    /// Of the file system's own.
    pub(crate) work: PathBuf,
}

/// A root that cannot be written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReadOnly {
    /// Where can be written all the same.
    pub(crate) writable: Vec<PathBuf>,
}

/// A network that somebody holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Joined {
    /// The namespaces of a thread that is in it (`/proc/PID/task/TID/ns`).
    pub(crate) namespaces: PathBuf,
    /// What stands at the place of `/etc/resolv.conf`.
    pub(crate) resolver: PathBuf,
    /// Unix sockets that lead out of it.
    pub(crate) outside: BTreeSet<PathBuf>,
}

/// What became of a program.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Nothing is known yet.
    #[default]
    Silent,
    /// It runs as the first process of a namespace, and is this one outside of it.
    Running {
        /// Its process id.
        pid: u32,
    },
    /// It has ended.
    Ended {
        /// By itself, with this code.
        code: Option<i32>,
        /// By this signal.
        signal: Option<i32>,
    },
    /// It could not be started that way.
    Refused {
        /// Why.
        reason: String,
    },
}

impl Status {
    /// What a launcher has said last.
    pub(crate) fn read(path: &Path) -> Self {
        let told = fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        told.unwrap_or_default()
    }

    /// Says it; whoever reads sees the old or the new.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        fs::write(&beside, serde_json::to_vec(self)?)?;
        fs::rename(&beside, path)
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}
