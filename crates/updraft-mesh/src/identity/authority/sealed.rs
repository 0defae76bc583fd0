//! The authority at rest: its keys and certificates, encrypted and authenticated with
//! ChaCha20-Poly1305 (RFC 8439) under a key that the caller keeps elsewhere.
//!
//! The file is `UDCA`, a version byte, a nonce of 12 bytes by chance, and the sealed text with
//! its tag. The head is authenticated too.

use std::fmt;
use std::time::Duration;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::UnixTime;
use zeroize::Zeroizing;

use super::{Authority, Prepared, Retired, Signer};
use crate::identity::key::{KeyError, KeyPair};

/// The key that an authority is sealed with: 32 bytes by chance, zeroed when it goes.
pub struct SealKey(Zeroizing<[u8; SealKey::LENGTH]>);

/// The authority could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// No encryption.
    #[error("the state of the authority could not be encrypted")]
    Encrypt,
}

/// What is sealed is not an authority, or not by this key.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something else altogether.
    #[error("this is not the sealed state of an authority")]
    Format,
    /// Written by another program.
    #[error("the sealed state is of version {0}; this program reads version 1")]
    Version(u8),
    /// Changed, or of another key.
    #[error("the sealed state was changed, or sealed with another key")]
    Decrypt,
    /// A key inside.
    #[error("a key of the authority cannot be read")]
    Key(#[source] KeyError),
}

const MAGIC: [u8; 4] = *b"UDCA";
const VERSION: u8 = 1;
/// Magic, version and nonce.
const HEAD: usize = MAGIC.len() + 1 + NONCE_LEN;
/// Room for the plain state, so that it never moves and leaves copies of keys behind: four
/// certificates and three keys take less than 3 KiB.
const STATE_BYTES: usize = 8 * 1024;

impl SealKey {
    /// Bytes of a key.
    pub(crate) const LENGTH: usize = 32;

    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; Self::LENGTH]);
        SystemRandom::new().fill(&mut *key).ok().ok_or(SealError::Random)?;
        Ok(Self(key))
    }

    /// The key from where it is kept.
    pub const fn from_bytes(bytes: Zeroizing<[u8; Self::LENGTH]>) -> Self {
        Self(bytes)
    }

    /// The same from plain bytes, which the caller forgets.
    pub fn from_array(bytes: [u8; Self::LENGTH]) -> Self {
        Self::from_bytes(Zeroizing::new(bytes))
    }

    /// The key, to be kept where only its owner reads it.
    pub fn expose(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&CHACHA20_POLY1305, &self.0[..]).ok().map(LessSafeKey::new)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

impl Authority {
    /// The whole state, encrypted.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub(crate) fn seal(&self, key: &SealKey) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok().ok_or(SealError::Random)?;
        let mut sealed = Vec::with_capacity(HEAD + STATE_BYTES + CHACHA20_POLY1305.tag_len());
        sealed.extend_from_slice(&MAGIC);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        let mut state = self.to_state();
        let cipher = key.cipher().ok_or(SealError::Encrypt)?;
        let tag = cipher
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&sealed[..]),
                &mut state,
            )
            .ok()
            .ok_or(SealError::Encrypt)?;
        sealed.extend_from_slice(&state);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The authority that was sealed.
    ///
    /// # Errors
    ///
    /// When a byte was changed, or the key is another one.
    pub(crate) fn open(sealed: &[u8], key: &SealKey) -> Result<Self, OpenError> {
        let (head, text) = sealed.split_at_checked(HEAD).ok_or(OpenError::Format)?;
        let rest = head.strip_prefix(&MAGIC).ok_or(OpenError::Format)?;
        let (&version, nonce) = rest.split_first().ok_or(OpenError::Format)?;
        if version != VERSION {
            return Err(OpenError::Version(version));
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok().ok_or(OpenError::Format)?;
        let mut state = Zeroizing::new(text.to_vec());
        let cipher = key.cipher().ok_or(OpenError::Decrypt)?;
        let opened = cipher.open_in_place(nonce, Aad::from(head), &mut state);
        Self::from_state(State(opened.ok().ok_or(OpenError::Decrypt)?))
    }

    fn to_state(&self) -> Zeroizing<Vec<u8>> {
        let mut state = Zeroizing::new(Vec::with_capacity(STATE_BYTES));
        put(&mut state, self.system.as_str().as_bytes());
        put_number(&mut state, self.sequence);
        put_signer(&mut state, &self.root);
        put_signer(&mut state, &self.issuer);
        put_number(&mut state, u64::from(self.next.is_some()));
        if let Some(next) = &self.next {
            put_signer(&mut state, &next.root);
            put_number(&mut state, next.since.as_secs());
        }
        put_number(&mut state, u64::from(self.retired.is_some()));
        if let Some(retired) = &self.retired {
            put(&mut state, &retired.certificate);
            put_number(&mut state, retired.since.as_secs());
        }
        state
    }

    fn from_state(mut state: State<'_>) -> Result<Self, OpenError> {
        let system = state.text()?.parse().ok().ok_or(OpenError::Format)?;
        let sequence = state.number()?;
        let (root, issuer) = (state.signer()?, state.signer()?);
        let next = match state.number()? {
            0 => None,
            _ => Some(Prepared { root: state.signer()?, since: state.time()? }),
        };
        let retired = match state.number()? {
            0 => None,
            _ => {
                Some(Retired { certificate: state.bytes()?.to_vec().into(), since: state.time()? })
            }
        };
        if !state.0.is_empty() {
            return Err(OpenError::Format);
        }
        Ok(Self { system, sequence, revision: 0, root, issuer, next, retired })
    }
}

/// Each part is preceded by its length.
fn put(state: &mut Vec<u8>, part: &[u8]) {
    put_number(state, part.len() as u64);
    state.extend_from_slice(part);
}

fn put_number(state: &mut Vec<u8>, number: u64) {
    state.extend_from_slice(&number.to_be_bytes());
}

fn put_signer(state: &mut Vec<u8>, signer: &Signer) {
    put(state, signer.name.as_bytes());
    put(state, &signer.certificate);
    put(state, signer.key.pkcs8());
    put_number(state, signer.not_after.as_secs());
}

/// What is left to read of a plain state.
struct State<'s>(&'s [u8]);

impl<'s> State<'s> {
    fn number(&mut self) -> Result<u64, OpenError> {
        let (number, rest) = self.0.split_first_chunk().ok_or(OpenError::Format)?;
        self.0 = rest;
        Ok(u64::from_be_bytes(*number))
    }

    fn time(&mut self) -> Result<UnixTime, OpenError> {
        self.number().map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }

    fn bytes(&mut self) -> Result<&'s [u8], OpenError> {
        let length = usize::try_from(self.number()?).ok().ok_or(OpenError::Format)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(OpenError::Format)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'s str, OpenError> {
        std::str::from_utf8(self.bytes()?).ok().ok_or(OpenError::Format)
    }

    fn signer(&mut self) -> Result<Signer, OpenError> {
        Ok(Signer {
            name: self.text()?.to_owned(),
            certificate: self.bytes()?.to_vec().into(),
            key: KeyPair::from_pkcs8(Zeroizing::new(self.bytes()?.to_vec()))
                .map_err(OpenError::Key)?,
            not_after: self.time()?,
        })
    }
}
