//! The folders of temporary files: one of a run, and in it one of each scope.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::guard::remove_folder;

/// Makes the folder of a run, closed to others. It must not be there before: in a folder that
/// everybody may write it could be somebody else's.
pub(super) fn make_run(run: &str) -> io::Result<PathBuf> {
    let folder = std::path::absolute(std::env::temp_dir())?.join(format!("updraft-{run}"));
    DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

/// Makes the folder of a scope with a `tmp` in it, empty. A process keeps what this returns as
/// long as the scope lives: folders that are locked are not tidied up (`tmpfiles.d(5)`).
pub(super) fn make(folder: &Path) -> io::Result<File> {
    // Of a scope of this label whose guardian was killed.
    if folder.exists() {
        remove_folder(folder)?;
    }
    for path in [folder, &folder.join("tmp")] {
        DirBuilder::new().mode(0o700).create(path)?;
    }
    let lock = File::open(folder)?;
    flock(&lock, FlockOperation::NonBlockingLockShared)?;
    Ok(lock)
}
