//! One writer at a time. A reader needs no lock: what it reads never changes.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, flock};

use crate::error::StoreError;

/// How long another writer is waited for; it holds the lock for some writes of small files.
const LOCK_WITHIN: Duration = Duration::from_secs(10);
/// From one look at the lock to the next: 5 ms.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// The right to write. The kernel takes it back when its holder ends, however that is.
#[derive(Debug)]
pub(crate) struct WriteLock(#[expect(dead_code, reason = "it is held, not read")] File);

impl WriteLock {
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path);
        let file = file.map_err(StoreError::io("open", path))?;
        let deadline = Instant::now() + LOCK_WITHIN;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    // The kernel tells nobody when a lock is given back.
                    match poll(&mut [], Some(&LOOK_EVERY)) {
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(StoreError::io("lock", path)(error.into())),
                    }
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(StoreError::Busy { path: path.to_owned() });
                }
                Err(error) => return Err(StoreError::io("lock", path)(error.into())),
            }
        }
    }
}
