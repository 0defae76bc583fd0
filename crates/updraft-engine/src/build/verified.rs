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

    /// Forgets what was remembered of a service: two builds have differed.
    ///
    /// # Errors
    ///
    /// What cannot be removed.
    pub fn forget(state: &StateDir, service: &Name) -> io::Result<()> {
        match fs::remove_file(path(state, service)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::inputs::Inputs;

    #[test]
    fn what_is_remembered_is_of_its_inputs_and_can_be_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::throwaway(folder.path().to_owned());
        let service: Name = "web".parse().unwrap();
        let [inputs, others] = ["a", "b"].map(|kind| Inputs::new(kind, folder.path()).digest());
        let verified =
            Verified { inputs: inputs.clone(), digest: "sha256:0".into(), varied: Vec::new() };
        verified.keep(&state, &service).unwrap();
        assert_eq!(Verified::of(&state, &service, &inputs), Some(verified));
        assert_eq!(Verified::of(&state, &service, &others), None);
        for _ in 0..2 {
            Verified::forget(&state, &service).unwrap();
            assert_eq!(Verified::of(&state, &service, &inputs), None);
        }
    }
}
