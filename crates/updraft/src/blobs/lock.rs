//! Writers of one blob in a folder take turns, over all processes of the machine: a file
//! system cannot compare and replace in one step. The names are spread over a few lock files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use super::name::{BlobName, LOCKS};

/// How many lock files there are.
const STRIPES: u64 = 64;

/// From one try to the next. Who waits is bounded by the timeout of the whole operation.
const PAUSE: Duration = Duration::from_millis(2);

/// The locks of a folder.
#[derive(Clone, Debug)]
pub(super) struct Locks {
    folder: PathBuf,
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    /// Closing it unlocks it.
    _file: File,
}

impl Locks {
    /// # Errors
    ///
    /// When their folder cannot be made.
    pub(super) fn within(folder: &std::path::Path) -> Result<Self, std::io::Error> {
        let folder = folder.join(LOCKS);
        match DirBuilder::new().create(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self { folder }),
        }
    }

    /// Waits for the lock of this name.
    pub(super) async fn hold(&self, name: &BlobName) -> Result<Held, std::io::Error> {
        let hash = blake3::hash(name.0.as_ref().as_bytes());
        let stripe = u64::from(hash.as_bytes()[0]) % STRIPES;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(self.folder.join(stripe.to_string()))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Held { _file: file }),
                Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}
