//! The file of a Unix socket: what a process that died left there is removed, what lives is
//! not, and nobody connects before the permissions are right.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket};

use super::ListenError;
use crate::config::Variable;

/// The permissions of a Unix socket; who may write may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketMode(u32);

impl SocketMode {
    /// The owner and the group, so that a proxy of the same group can connect.
    pub(crate) const DEFAULT: Self = Self(0o660);
}

impl Variable for SocketMode {
    const EXPECTED: &'static str = "permissions in octal, such as 660";

    fn parse(text: &str) -> Result<Self, String> {
        match u32::from_str_radix(text, 8) {
            Ok(mode @ 0..=0o777) => Ok(Self(mode)),
            _ => Err("is no permissions in octal".to_owned()),
        }
    }

    fn show(&self) -> String {
        format!("{:o}", self.0)
    }
}

/// The file of a socket of ours. Dropped, it is removed.
#[derive(Debug)]
pub(in crate::web) struct SocketFile {
    path: PathBuf,
    /// By these it is known as ours, when another process has taken the path meanwhile.
    identity: Option<(u64, u64)>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && self.identity == identity(&self.path) {
            // What is left is found and removed by the next one.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Listens on the path.
pub(super) fn bind(
    path: &Path,
    mode: SocketMode,
    backlog: u32,
) -> Result<(UnixListener, SocketFile), ListenError> {
    clear(path)?;
    let failed = |source| ListenError::Unix { path: path.to_owned(), source };
    let socket = UnixSocket::new_stream().map_err(failed)?;
    socket.bind(path).map_err(failed)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(path) };
    // Connections are refused until `listen`, whatever the permissions were before.
    fs::set_permissions(path, Permissions::from_mode(mode.0)).map_err(failed)?;
    let listener = socket.listen(backlog).map_err(failed)?;
    Ok((listener, file))
}

/// Removes the socket of a process that has died.
fn clear(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Unix { path: path.to_owned(), source };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(source)),
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NoSocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        // Nobody holds the other end any more.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(source) => Err(failed(source)),
        Ok(_somebody) => Err(ListenError::InUse { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_and_a_file_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "what a process that died leaves");
        let (listener, file) = bind(&path, SocketMode(0o640), 8).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(matches!(bind(&path, SocketMode::DEFAULT, 8), Err(ListenError::InUse { .. })));
        drop((listener, file));
        assert!(!path.exists());
        fs::write(&path, "notes").unwrap();
        assert!(matches!(bind(&path, SocketMode::DEFAULT, 8), Err(ListenError::NoSocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "notes");
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (_old, old_file) = bind(&path, SocketMode::DEFAULT, 8).unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        let (_new, _new_file) = bind(&path, SocketMode::DEFAULT, 8).unwrap();
        drop(old_file);
        assert!(path.exists());
    }
}
