//! How a program is to be run in a trial.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::verdict::Shape;

/// How a program is to be run in a trial.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// As what.
    pub(crate) shape: Shape,
    /// Variables that differ from the program's own; `None` takes one away.
    pub(crate) variables: BTreeMap<String, Option<String>>,
    /// Only these variables, its port and its resources: nothing of the program's own.
    pub(crate) only: Option<BTreeMap<String, String>>,
    /// Whether everything but folders for temporary files is read-only.
    pub(crate) read_only: bool,
    /// Files and folders that are empty for it.
    pub(crate) masked: Vec<PathBuf>,
    /// Files that stand in the place of others: first what is shown, then where.
    pub(crate) shown: Vec<(PathBuf, PathBuf)>,
    /// Whether it is in a network of its own where it is noted whom it looks for, whatever
    /// others are in.
    pub(crate) watched: bool,
    /// Another name of the machine.
    pub(crate) hostname: Option<String>,
    /// Its file mode creation mask.
    pub(crate) umask: Option<u32>,
    /// Where every executable is noted that it runs. As a child only; nothing that it does at
    /// a signal counts then.
    pub(crate) trace: Option<PathBuf>,
    /// The folder to use, with what an earlier copy has written; `None`: a fresh copy.
    pub(crate) copy: Option<PathBuf>,
    /// Who reads what it writes.
    pub(crate) stdout: Stdout,
    /// What another copy uses already, and its network, instead of fresh ones.
    pub(crate) provided: Option<super::Provided>,
    /// Its port; `None`: one that nobody has.
    pub(crate) port: Option<u16>,
}

/// Who reads what a program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stdout {
    /// The audit, at once.
    Read,
    /// Nobody: the pipe fills.
    Stalled,
}

impl Setup {
    /// As it is deployed in that shape.
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            variables: BTreeMap::new(),
            only: None,
            read_only: false,
            masked: Vec::new(),
            shown: Vec::new(),
            watched: false,
            hostname: None,
            umask: None,
            trace: None,
            copy: None,
            stdout: Stdout::Read,
            provided: None,
            port: None,
        }
    }

    /// With another value of a variable; `None`: without it.
    pub(crate) fn variable(mut self, name: &str, value: Option<&str>) -> Self {
        self.variables.insert(name.to_owned(), value.map(str::to_owned));
        self
    }
}
