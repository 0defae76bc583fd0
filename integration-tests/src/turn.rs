//! Taking turns: tests of one folder want the same ports, and tests run at once, as
//! threads of one process or as processes of their own.

use std::fs::{self, File};

use anyhow::{Context, Result};

use crate::target_folder;

/// The right to be the only one, as long as this lives.
#[derive(Debug)]
pub struct Turn {
    _locked: File,
}

impl Turn {
    /// Waits until nobody else has the turn called `name`.
    pub fn take(name: &str) -> Result<Self> {
        let folder = target_folder()?.join("integration-tests");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.lock"));
        let file =
            File::create(&path).with_context(|| format!("{} could not be made", path.display()))?;
        // The kernel lets go when the test ends, in whatever way.
        file.lock().with_context(|| format!("{} could not be locked", path.display()))?;
        Ok(Self { _locked: file })
    }
}
