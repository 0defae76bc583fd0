//! Sockets at paths longer than the kernel's address can hold: a state directory
//! may lie deep, and its owner did not choose a limit of 107 bytes.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// What `sockaddr_un` holds beside its final NUL (unix(7)).
const ADDRESS_MAX: usize = 107;

/// A path that names the same socket and fits into an address while this lives.
#[derive(Debug)]
pub struct ShortPath {
    path: PathBuf,
    _folder: Option<OwnedFd>,
}

impl ShortPath {
    /// That of `socket`, which need not exist; its folder must, where the path is too long.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) when the name of the file alone is too
    /// long, else that of the system about the folder.
    pub fn of(socket: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if socket.as_os_str().len() <= ADDRESS_MAX {
            return Ok(Self { path: socket.to_owned(), _folder: None });
        }
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(folder, flags, Mode::empty())?;
        let by_folder = format!("/proc/self/fd/{}/", folder.as_raw_fd());
        let most = ADDRESS_MAX.saturating_sub(by_folder.len());
        if most < name.len() {
            let text = format!(
                "the name of its file has {} bytes, and at most {most} fit into the address of a \
                 socket: choose a shorter one",
                name.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self { path: Path::new(&by_folder).join(name), _folder: Some(folder) })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_socket_is_reached_however_long_its_path_is() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().as_os_str().len();
        for length in [own + 10, 106, 107, 108, 109, 300, 2000] {
            let mut folder = dir.path().to_owned();
            while folder.as_os_str().len() + 210 < length {
                folder.push("d".repeat(200));
            }
            let left = length.saturating_sub(folder.as_os_str().len() + 8).max(1);
            folder.push("e".repeat(left));
            std::fs::create_dir_all(&folder).unwrap();
            let socket = folder.join("a.sock");
            let listener = UnixListener::bind(ShortPath::of(&socket).unwrap().path()).unwrap();
            UnixStream::connect(ShortPath::of(&socket).unwrap().path()).unwrap();
            listener.accept().unwrap();
            assert!(socket.exists(), "{}", socket.display());
        }
    }

    #[test]
    fn what_no_folder_can_help_is_refused_with_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let refused = ShortPath::of(&dir.path().join("n".repeat(108))).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("has 108 bytes"), "{refused}");
        // What it says is taken, but for other descriptors that may have come meanwhile.
        let text = refused.to_string();
        let most = text.split("at most ").nth(1).unwrap().split(' ').next().unwrap();
        let most = most.parse::<usize>().unwrap() - 2;
        let deep = dir.path().join("d".repeat(100));
        std::fs::create_dir(&deep).unwrap();
        let taken = ShortPath::of(&deep.join("n".repeat(most))).unwrap();
        assert!((ADDRESS_MAX - 3..=ADDRESS_MAX).contains(&taken.path().as_os_str().len()));
        UnixListener::bind(taken.path()).unwrap();
        assert!(ShortPath::of(Path::new("/")).is_err());
    }
}
