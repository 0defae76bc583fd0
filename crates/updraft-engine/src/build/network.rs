//! Whether a build may use the network. An artefact is made without one, so that what goes
//! into it is what its fetch step fetched.

use std::process::{Command, Stdio};

/// What a build has of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The machine's.
    #[default]
    Open,
    /// That during its fetch step, and none afterwards.
    Cut(Cut),
}

/// A way to run a command without a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut(&'static [&'static str]);

/// `unshare` of util-linux makes a network namespace with nothing in it. An ordinary user
/// needs a user namespace around it, in which files still belong to the same user.
const WAYS: [&[&str]; 2] =
    [&["unshare", "--net", "--"], &["unshare", "--map-current-user", "--net", "--"]];

impl Network {
    /// None after the fetch step, where this machine can do that.
    pub fn cut() -> Option<Self> {
        let works = |way: &&&[&str]| {
            let Some((program, words)) = way.split_first() else { return false };
            let mut command = Command::new(program);
            command.args(words).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        WAYS.iter().find(works).map(|way| Self::Cut(Cut(way)))
    }

    /// Whether it is cut after the fetch step.
    pub fn is_cut(&self) -> bool {
        matches!(self, Self::Cut(_))
    }

    /// A command as it is to be run after the fetch step.
    pub(super) fn without(&self, argv: Vec<String>) -> Vec<String> {
        match self {
            Self::Open => argv,
            Self::Cut(Cut(way)) => way.iter().map(|word| (*word).to_owned()).chain(argv).collect(),
        }
    }
}
