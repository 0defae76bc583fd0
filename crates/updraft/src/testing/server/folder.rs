//! The folders of the servers: below the system's temporary folder, of one user, open to no
//! other.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
use std::path::{Path, PathBuf};

use rustix::process::getuid;
use tempfile::TempDir;

use super::ServerError;
use super::ask::{PATIENCE, until};

/// How much of the end of a log is shown.
const LOG_TAIL: u64 = 2048;

/// The folder of everything that the servers of this user share.
///
/// Root's is open for reading, for it starts PostgreSQL as somebody else; what is secret in it
/// is not.
pub(super) fn base() -> Result<PathBuf, ServerError> {
    let user = getuid();
    let mode = if user.is_root() { 0o755 } else { 0o700 };
    let path = temporary().join(format!("updraft-servers-{}", user.as_raw()));
    folder(&path, mode)?;
    // Somebody else may have made a folder of this name before.
    let found = fs::symlink_metadata(&path).map_err(ServerError::file("look at", &path))?;
    if !found.is_dir() || found.uid() != user.as_raw() {
        let source = std::io::Error::new(ErrorKind::PermissionDenied, "somebody else made it");
        return Err(ServerError::file("use", path)(source));
    }
    Ok(path)
}

/// Makes a folder, unless it is there.
pub(super) fn folder(path: &Path, mode: u32) -> Result<(), ServerError> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(ServerError::file("make", path)(error)),
        // What the umask took away.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(ServerError::file("open", path)),
    }
}

/// A new folder below `parent`, removed when dropped.
pub(super) fn fresh(
    parent: &Path,
    prefix: &str,
    user: Option<u32>,
) -> Result<TempDir, ServerError> {
    let made = tempfile::Builder::new()
        .prefix(prefix)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(ServerError::file("make a folder in", parent))?;
    give(made.path(), user)?;
    Ok(made)
}

/// Gives a file to whom the server runs as, and to nobody else.
pub(super) fn give(path: &Path, user: Option<u32>) -> Result<(), ServerError> {
    match user {
        Some(_) => chown(path, user, user).map_err(ServerError::file("give away", path)),
        None => Ok(()),
    }
}

/// Writes a file that only its owner reads.
pub(super) fn write_private(path: &Path, text: &str, user: Option<u32>) -> Result<(), ServerError> {
    let wrong = || ServerError::file("write", path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(wrong())?;
    file.write_all(text.as_bytes()).map_err(wrong())?;
    give(path, user)
}

/// A file to be locked; anybody who comes into its folder may read it, for locking needs no
/// more.
pub(super) fn lock_file(path: &Path) -> Result<File, ServerError> {
    let wrong = || ServerError::file("open", path);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o644);
    options.open(path).map_err(wrong())
}

/// Locks a file for this process alone; waits for others, but not for ever.
pub(super) fn lock(path: &Path) -> Result<File, ServerError> {
    let file = lock_file(path)?;
    match until(PATIENCE, || file.try_lock().ok()) {
        Some(()) => Ok(file),
        None => Err(ServerError::file("lock", path)(ErrorKind::TimedOut.into())),
    }
}

/// The log that a server appends to.
pub(super) fn log(folder: &Path) -> Result<File, ServerError> {
    let path = folder.join("log");
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.open(&path).map_err(ServerError::file("open", path))
}

/// The end of the log, for people.
pub(super) fn log_tail(folder: &Path) -> String {
    let read = || {
        let mut file = File::open(folder.join("log"))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
        let mut bytes = Vec::new();
        file.take(LOG_TAIL).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_else(|error| format!("its log cannot be read: {error}"))
}

/// The system's temporary folder. Root's own is sometimes closed to the user that PostgreSQL
/// runs as.
fn temporary() -> PathBuf {
    let folder = std::env::temp_dir();
    let is_open = folder.ancestors().all(|ancestor| {
        fs::metadata(ancestor).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    });
    if getuid().is_root() && !is_open { PathBuf::from("/tmp") } else { folder }
}
