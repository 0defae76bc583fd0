//! Where the state of a system lives: `$XDG_STATE_HOME/updraft/<name>-<hash>/`,
//! a folder for each checkout, open to its owner only.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use updraft_system::{Build, Name, Service};

/// Where state is kept in a home, by the XDG Base Directory Specification.
const IN_HOME: &str = ".local/state";

/// The state folder of one system in one checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
    identity: String,
}

/// Held by the one supervisor that runs a system.
#[derive(Debug)]
pub struct StateLock(File);

/// The state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Neither variable says where state may live.
    #[error("no place for state: set HOME or XDG_STATE_HOME to an absolute path")]
    NoHome,
    /// A file system call failed.
    #[error("cannot use the state folder {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl StateDir {
    /// The state folder of the system `name` whose manifest is in `directory`; made
    /// when it is not there.
    ///
    /// # Errors
    ///
    /// [`StateDirError`] when the folder cannot be made or `directory` does not exist.
    pub fn locate(name: &Name, directory: &Path) -> Result<Self, StateDirError> {
        let state = Self::below(&home()?, name, directory)?;
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&state.root)
            .map_err(|source| StateDirError::Io { path: state.root.clone(), source })?;
        Ok(state)
    }

    /// The same system's state folder of another user, whose home is `home`; it is not made.
    ///
    /// # Errors
    ///
    /// [`StateDirError`] when `directory` does not exist.
    pub fn of_user(home: &Path, name: &Name, directory: &Path) -> Result<Self, StateDirError> {
        Self::below(&home.join(IN_HOME), name, directory)
    }

    fn below(states: &Path, name: &Name, directory: &Path) -> Result<Self, StateDirError> {
        let directory = directory
            .canonicalize()
            .map_err(|source| StateDirError::Io { path: directory.to_owned(), source })?;
        let identity = format!("{name}\0{}", directory.display());
        let hash = blake3::hash(identity.as_bytes()).to_hex();
        let root = states.join("updraft").join(format!("{name}-{}", &hash[..8]));
        Ok(Self { root, identity })
    }

    /// An empty folder that is there, as the state of something that leaves nothing behind.
    pub fn throwaway(root: PathBuf) -> Self {
        let identity = root.display().to_string();
        Self { root, identity }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What tells this system from others on this machine: its name and folder.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// The Unix socket of the control API.
    pub fn socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    /// The folder of the authority that signs this system's certificates.
    pub(crate) fn authority(&self) -> PathBuf {
        self.root.join("authority")
    }

    /// The folder of log segments.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The folder of resources' data.
    pub fn resources(&self) -> PathBuf {
        self.root.join("resources")
    }

    /// The memory of a service's builds for images. Cargo's programs are made in another way than
    /// for `up`, without paths of this machine; what else is made lies in the service's folder,
    /// and is remembered once.
    pub fn made_of(&self, service: &Service) -> PathBuf {
        let stores = match service.build {
            Build::Cargo => self.root.join("artifacts"),
            _ => self.builds(),
        };
        stores.join(service.name.as_str())
    }

    /// The folder of staged builds.
    pub fn builds(&self) -> PathBuf {
        self.root.join("builds")
    }

    /// The folder of the release store; nothing that ends or empties a system touches it.
    pub fn releases(&self) -> PathBuf {
        self.root.join("releases")
    }

    /// The ports promised to processes.
    pub(crate) fn ports(&self) -> PathBuf {
        self.root.join("ports.json")
    }

    /// Takes the lock of the system; `None`: another supervisor has it, or the
    /// guardian of one that was killed is still cleaning up.
    ///
    /// # Errors
    ///
    /// [`StateDirError`] when the lock file cannot be opened.
    pub fn lock(&self) -> Result<Option<StateLock>, StateDirError> {
        let path = self.root.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| StateDirError::Io { path: path.clone(), source })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(StateLock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(StateDirError::Io { path, source: error.into() }),
        }
    }

    /// Deletes the data of all resources; the proof that nothing uses them is the lock.
    ///
    /// # Errors
    ///
    /// [`StateDirError`] when something cannot be removed.
    pub fn delete_resources(&self, _lock: &StateLock) -> Result<(), StateDirError> {
        let path = self.resources();
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateDirError::Io { path, source: error })
            }
            _ => Ok(()),
        }
    }
}

impl StateLock {
    /// The locked file; a copy of it keeps the lock.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

fn home() -> Result<PathBuf, StateDirError> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(IN_HOME)))
        .ok_or(StateDirError::NoHome)
}
