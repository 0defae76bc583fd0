//! Keys of Ed25519 in files, as other tools write and read them: PKCS #8 (RFC 8410) in PEM.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::envelope::encoded;
use super::{Envelope, EnvelopeError, Signature, Statement};
use crate::{Digest, IN_TOTO};

/// What stands before the 32 bytes of a private key, by RFC 8410 section 7.
const PRIVATE: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// What stands before the 32 bytes of a public key, by RFC 8410 section 4.
const PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// The largest key file that is read; one has some hundred bytes.
const FILE_MOST: u64 = 16 * 1024;

/// A private key, and who it is.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file cannot be read or written.
    #[error("cannot {action} the key {}", path.display())]
    File {
        /// What was to be done.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others can read it.
    #[error("the key {} can be read by others (mode {mode:04o}): chmod 600 it", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds something else.
    #[error("{place} holds no Ed25519 key in PEM ({kind})")]
    Shape {
        /// Which file or text.
        place: String,
        /// What is expected.
        kind: &'static str,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for a key")]
    Random,
}

impl SigningKey {
    /// The key in that file. When there is none, one is made that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`KeyError`]: unreadable, readable by others, or something else than a key.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let failed =
            |action| move |source| KeyError::File { action, path: path.to_owned(), source };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::create(path),
            Err(error) => return Err(failed("read")(error)),
        };
        let mode = file.metadata().map_err(failed("read"))?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Open { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_MOST).read_to_string(&mut text).map_err(failed("read"))?;
        Self::from_pem(&text, &path.display().to_string())
    }

    fn create(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { action: "write", path: path.to_owned(), source };
        let mut seed = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut *seed).map_err(|_unspecified| KeyError::Random)?;
        let der = Zeroizing::new([PRIVATE.as_slice(), &*seed].concat());
        let text = Zeroizing::new(pem("PRIVATE KEY", &der));
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder).map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let draft = path.with_file_name(format!(".{name}.draft-{}", std::process::id()));
        let write = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // Unlike a rename, a link never replaces a key that somebody made meanwhile.
            match fs::hard_link(&draft, path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            }
        };
        let written = write();
        drop(fs::remove_file(&draft));
        written.map_err(failed)?;
        Self::open(path)
    }

    fn from_pem(text: &str, place: &str) -> Result<Self, KeyError> {
        let shape = || KeyError::Shape { place: place.to_owned(), kind: "PRIVATE KEY" };
        let der = Zeroizing::new(from_pem("PRIVATE KEY", text).ok_or_else(shape)?);
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok().ok_or_else(shape)?;
        let public = pair.public_key().as_ref().try_into().ok().ok_or_else(shape)?;
        Ok(Self { pair, public: PublicKey(public) })
    }

    /// Its public part.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a statement.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError::Shape`] when the statement cannot be written as JSON.
    pub fn sign(&self, statement: &Statement) -> Result<Envelope, EnvelopeError> {
        let payload = serde_json::to_vec(statement).map_err(EnvelopeError::Shape)?;
        let signature = self.pair.sign(&encoded(IN_TOTO, &payload));
        Ok(Envelope {
            payload_type: IN_TOTO.to_owned(),
            payload: STANDARD.encode(&payload),
            signatures: vec![Signature {
                keyid: self.public.id(),
                sig: STANDARD.encode(signature),
            }],
        })
    }
}

/// Without the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Its name: the SHA-256 of its SubjectPublicKeyInfo, in hexadecimal digits.
    pub fn id(&self) -> String {
        Digest::of(&self.der()).hex().to_owned()
    }

    /// For other tools, as `PUBLIC KEY` in PEM.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// From `PUBLIC KEY` in PEM.
    ///
    /// # Errors
    ///
    /// [`KeyError::Shape`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = from_pem("PUBLIC KEY", text);
        let key =
            der.as_deref().and_then(|der| der.strip_prefix(PUBLIC.as_slice())?.try_into().ok());
        key.map(Self)
            .ok_or_else(|| KeyError::Shape { place: "the text".to_owned(), kind: "PUBLIC KEY" })
    }

    pub(super) fn made(&self, signature: &[u8], message: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }

    fn der(&self) -> Vec<u8> {
        [PUBLIC.as_slice(), &self.0].concat()
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn from_pem(label: &str, text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}
