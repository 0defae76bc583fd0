//! The authority of a system on this machine: sealed in the state folder, opened at each run,
//! so that a certificate of yesterday's root is still one of this system.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use updraft_mesh::{AuthorityError, LocalIssuer, SealKey};
use updraft_system::Name;

use crate::durable;
use crate::resource::private_file;

/// From one look at what is due to the next.
const TICK: Duration = Duration::from_secs(60);
/// Bytes of the key that seals.
const KEY_BYTES: usize = 32;

/// The authority with its place on disk.
#[derive(Debug)]
pub(crate) struct KeptAuthority {
    issuer: LocalIssuer,
    folder: PathBuf,
    key: SealKey,
    /// The revision that is on disk.
    kept: Mutex<u64>,
}

/// The authority cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    /// Its folder cannot be used.
    #[error("cannot use {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It cannot be made, sealed or opened.
    #[error("the certificates of this system cannot be signed; delete {folder} to begin anew")]
    Authority {
        /// Where it is.
        folder: PathBuf,
        /// Why.
        #[source]
        source: AuthorityError,
    },
}

impl KeptAuthority {
    /// Opens what `folder` holds, or makes it.
    pub(crate) fn open(system: &Name, folder: PathBuf) -> Result<Self, KeepError> {
        let at = |path: &Path, source| KeepError::Io { path: path.to_owned(), source };
        let broken = |source| KeepError::Authority { folder: folder.clone(), source };
        private_file::make_folder(&folder).map_err(|error| at(&folder, error))?;
        let key = seal_key(&folder.join("seal.key"))?;
        let sealed = folder.join("authority.sealed");
        let issuer = match fs::read(&sealed) {
            Ok(sealed) => LocalIssuer::open(&sealed, &key).map_err(broken)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                LocalIssuer::create(system.clone()).map_err(broken)?
            }
            Err(error) => return Err(at(&sealed, error)),
        };
        let kept = Self { issuer, folder, key, kept: Mutex::new(u64::MAX) };
        kept.keep()?;
        Ok(kept)
    }

    /// Who signs.
    pub(crate) fn issuer(&self) -> &LocalIssuer {
        &self.issuer
    }

    /// Writes it down where it has changed.
    pub(crate) fn keep(&self) -> Result<(), KeepError> {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let revision = self.issuer.revision();
        if *kept == revision {
            return Ok(());
        }
        let broken = |source| KeepError::Authority { folder: self.folder.clone(), source };
        let sealed = self.issuer.seal(&self.key).map_err(broken)?;
        let path = self.folder.join("authority.sealed");
        durable::write(&path, &sealed).map_err(|source| KeepError::Io { path, source })?;
        *kept = revision;
        Ok(())
    }

    /// Does what is due, again and again; `failed` hears of each failure.
    pub(crate) async fn follow_time(&self, failed: impl Fn(&dyn std::error::Error)) {
        loop {
            tokio::time::sleep(TICK).await;
            if let Err(error) = self.issuer.tick() {
                failed(&error);
            }
            if let Err(error) = self.keep() {
                failed(&error);
            }
        }
    }
}

/// The key in this file, which is its owner's alone; made at the first call.
fn seal_key(path: &Path) -> Result<SealKey, KeepError> {
    let at = |source| KeepError::Io { path: path.to_owned(), source };
    match fs::read(path) {
        Ok(bytes) => {
            let bytes: [u8; KEY_BYTES] = bytes.try_into().ok().ok_or_else(|| {
                at(io::Error::new(io::ErrorKind::InvalidData, "the key has another length"))
            })?;
            Ok(SealKey::from_array(bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.to_owned();
            let key = SealKey::generate().map_err(|source| KeepError::Authority {
                folder,
                source: AuthorityError::Seal(source),
            })?;
            durable::write(path, key.expose()).map_err(at)?;
            Ok(key)
        }
        Err(error) => Err(at(error)),
    }
}
