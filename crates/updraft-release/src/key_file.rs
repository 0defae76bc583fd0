//! The file of a user's secret keys, outside of every store: a copy of a store alone tells
//! nothing. Its form is that of `age-keygen`, so the file serves the `age` command as well.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::age::{self, AgeError, Identity, InvalidKey, Recipient};
use crate::disk;

/// The longest file of keys that is read.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Whoever else may do anything with the file.
const OTHERS: u32 = 0o077;

/// Where a user's secret keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    path: PathBuf,
}

/// The keys of this user cannot be had. Never repeats a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No variable says where the file is.
    #[error(
        "no place for the key: set UPDRAFT_KEY_FILE, HOME or XDG_CONFIG_HOME to an absolute path"
    )]
    NoHome,
    /// There is no file, and a store was encrypted with it.
    #[error(
        "there is no key file {path}: values that are set were encrypted for a key in it; restore it, or name another file in UPDRAFT_KEY_FILE"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Others may read the file.
    #[error("{path} is open to others: run `chmod 600 {path}`")]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// A line is no key.
    #[error("{path}, line {line}, is no key")]
    Line {
        /// The file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// Why.
        #[source]
        source: InvalidKey,
    },
    /// The file holds no key.
    #[error("{path} holds no key")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The variable names a file that depends on the folder.
    #[error("UPDRAFT_KEY_FILE is {path}: write an absolute path")]
    Relative {
        /// What it says.
        path: PathBuf,
    },
    /// No key could be made.
    #[error("no key can be made")]
    Generate(#[source] AgeError),
    /// The file could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl KeyFile {
    /// Names the file.
    pub const VARIABLE: &'static str = "UPDRAFT_KEY_FILE";

    /// The file at `path`, which need not be there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file of whoever runs this process: `UPDRAFT_KEY_FILE`, else `updraft/age.key` in
    /// `$XDG_CONFIG_HOME` or `~/.config`.
    ///
    /// # Errors
    ///
    /// [`KeyError::Relative`] when the variable has no absolute path, [`KeyError::NoHome`] when
    /// nothing else has one.
    pub fn locate() -> Result<Self, KeyError> {
        let absolute =
            |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let in_home = || absolute("HOME").map(|home| home.join(".config"));
        let by_default = || absolute("XDG_CONFIG_HOME").or_else(in_home);
        if let Some(named) = std::env::var_os(Self::VARIABLE).filter(|named| !named.is_empty()) {
            let path = PathBuf::from(named);
            // What it is relative to differs from one command to the next.
            return match path.is_absolute() {
                true => Ok(Self { path }),
                false => Err(KeyError::Relative { path }),
            };
        }
        let by_default = by_default().map(|config| config.join("updraft/age.key"));
        by_default.map(|path| Self { path }).ok_or(KeyError::NoHome)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys in it; the first is the one for which is encrypted.
    ///
    /// # Errors
    ///
    /// [`KeyError`], when there is no file as well.
    pub fn identities(&self) -> Result<Vec<Identity>, KeyError> {
        self.read()?.ok_or_else(|| KeyError::Missing { path: self.path.clone() })
    }

    /// The public key for which values of this user are encrypted; made where there is none.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when the file cannot be read or made.
    pub fn own_recipient(&self, now: Timestamp) -> Result<Recipient, KeyError> {
        let identities = self.identities_or_new(now)?;
        let first = identities.first().map(Identity::recipient);
        first.ok_or_else(|| KeyError::Empty { path: self.path.clone() })
    }

    /// The keys in it, which is made with a new key where it is not there.
    pub(crate) fn identities_or_new(&self, now: Timestamp) -> Result<Vec<Identity>, KeyError> {
        if let Some(identities) = self.read()? {
            return Ok(identities);
        }
        let identity = Identity::generate().map_err(KeyError::Generate)?;
        self.make(&identity, now).map_err(|source| self.io("write", source))?;
        // Another process may have been the first.
        self.identities()
    }

    fn read(&self) -> Result<Option<Vec<Identity>>, KeyError> {
        let path = || self.path.clone();
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|source| self.io("read", source))?,
        };
        let about = file.metadata().map_err(|source| self.io("read", source))?;
        if about.permissions().mode() & OTHERS != 0 {
            return Err(KeyError::Open { path: path() });
        }
        let mut text = Zeroizing::new(String::new());
        let read = file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text);
        read.map_err(|source| self.io("read", source))?;
        let mut identities = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let key = line.parse();
                let wrong = |source| KeyError::Line { path: path(), line: index + 1, source };
                identities.push(key.map_err(wrong)?);
            }
        }
        if identities.is_empty() {
            return Err(KeyError::Empty { path: path() });
        }
        Ok(Some(identities))
    }

    /// Writes the file, unless there is one by now.
    fn make(&self, identity: &Identity, now: Timestamp) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let secret = identity.expose();
        let text = Zeroizing::new(format!(
            "# created: {now}\n# public key: {}\n{}\n",
            identity.recipient(),
            *secret
        ));
        let mark = u64::from_ne_bytes(age::random().map_err(io::Error::other)?);
        let draft = self.path.with_extension(format!("draft-{mark:016x}"));
        let written = || {
            let mut options = File::options();
            let mut file =
                options.create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            match fs::hard_link(&draft, &self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            }
        };
        let written = written();
        drop(fs::remove_file(&draft));
        written?;
        disk::sync(folder)
    }

    fn io(&self, action: &'static str, source: io::Error) -> KeyError {
        KeyError::Io { action, path: self.path.clone(), source }
    }
}
