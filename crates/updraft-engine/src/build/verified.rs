//! What two builds have shown, remembered as long as nothing that goes into them changes.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use updraft_system::Name;

use super::Digest;
use crate::durable;
use crate::resource::private_file;
use crate::state_dir::StateDir;

/// A service was built twice, and both builds gave the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// What they were made from.
    pub inputs: Digest,
    /// The digest of what they gave.
    pub digest: String,
    /// What differed between them.
    pub varied: Vec<String>,
}

impl Verified {
    /// Remembers it.
    ///
    /// # Errors
    ///
    /// What cannot be written.
    pub fn keep(&self, state: &StateDir, service: &Name) -> io::Result<()> {
        let path = path(state, service);
        private_file::make_folder(path.parent().unwrap_or(&path))?;
        durable::write(&path, &serde_json::to_vec_pretty(self)?)
    }

    /// What is remembered of builds from these inputs.
    #[must_use]
    pub fn of(state: &StateDir, service: &Name, inputs: &Digest) -> Option<Self> {
        let text = fs::read(path(state, service)).ok()?;
        let verified: Self = serde_json::from_slice(&text).ok()?;
        (verified.inputs == *inputs).then_some(verified)
    }
}

fn path(state: &StateDir, service: &Name) -> PathBuf {
    state.root().join("verified").join(format!("{service}.json"))
}
