//! The numbered parts of a server. A number is held by a lock on a file, which the system
//! lets go when its process is gone, however it went.

use std::fs::File;

use super::folder::{folder, lock_file};
use super::site::Site;
use super::{Kind, ServerError};

/// How many parts a server has beside the main one.
pub(super) const MOST: u32 = 128;

/// A number that nobody else has.
#[derive(Debug)]
pub(super) struct Slot {
    number: u32,
    /// Unlocked when it is closed.
    _held: File,
}

impl Slot {
    /// The part that is the server's own.
    pub(super) const MAIN: u32 = 0;

    pub(super) fn take(site: &Site) -> Result<Self, ServerError> {
        let kind: Kind = site.kind;
        let locks = site.folder.join("databases");
        folder(&locks, 0o700)?;
        // Beginning anywhere keeps those who come at once out of each other's way.
        let first = fastrand::u32(0..MOST);
        for offset in 0..MOST {
            let number = (first + offset) % MOST + 1;
            let file = lock_file(&locks.join(number.to_string()))?;
            if file.try_lock().is_ok() {
                return Ok(Self { number, _held: file });
            }
        }
        Err(ServerError::Occupied { kind, most: MOST })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }
}
