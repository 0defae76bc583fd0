//! Keys in the form in which people and the `age` command write them: Bech32 (BIP 173).

use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{AgeError, random};

/// Stands before a public key.
const PUBLIC: Hrp = Hrp::parse_unchecked("age");
/// Stands before a secret key, which is written in capitals.
const SECRET: Hrp = Hrp::parse_unchecked("age-secret-key-");

/// A secret key: `AGE-SECRET-KEY-1…`.
#[derive(Clone)]
pub struct Identity(pub(super) StaticSecret);

/// A public key: `age1…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recipient(pub(super) PublicKey);

/// The text is not a key. It is not repeated, since it may be a secret one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not a public key.
    #[error("not a public key of age: it is `age1` and 58 letters and digits")]
    Public,
    /// A secret key where a public one is asked for.
    #[error("that is a secret key: give the public one, `age1…`, and tell nobody the other")]
    SecretForPublic,
    /// Not a secret key.
    #[error("not a secret key of age: it is `AGE-SECRET-KEY-1` and 58 letters and digits")]
    Secret,
}

impl Identity {
    /// A new key.
    ///
    /// # Errors
    ///
    /// [`AgeError::Randomness`].
    pub(crate) fn generate() -> Result<Self, AgeError> {
        Ok(Self(StaticSecret::from(random()?)))
    }

    /// The public key that belongs to it.
    pub fn recipient(&self) -> Recipient {
        Recipient(PublicKey::from(&self.0))
    }

    /// The key as a file of keys holds it.
    pub(crate) fn expose(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.0.to_bytes());
        // Fails for texts of more than a thousand characters.
        Zeroizing::new(bech32::encode_upper::<Bech32>(SECRET, &bytes[..]).unwrap_or_default())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(of {})", self.recipient())
    }
}

impl FromStr for Identity {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = key_bytes(text, SECRET).ok_or(InvalidKey::Secret)?;
        Ok(Self(StaticSecret::from(*bytes)))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode_lower::<Bech32>(PUBLIC, self.0.as_bytes());
        f.pad(&text.map_err(|_too_long| fmt::Error)?)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

impl FromStr for Recipient {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.to_ascii_lowercase().starts_with(SECRET.as_str()) {
            return Err(InvalidKey::SecretForPublic);
        }
        let bytes = key_bytes(text, PUBLIC).ok_or(InvalidKey::Public)?;
        Ok(Self(PublicKey::from(*bytes)))
    }
}

fn key_bytes(text: &str, kind: Hrp) -> Option<Zeroizing<[u8; 32]>> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok().filter(|it| it.hrp() == kind)?;
    let mut bytes = Zeroizing::new([0; 32]);
    let mut given = checked.byte_iter();
    for byte in bytes.iter_mut() {
        *byte = given.next()?;
    }
    given.next().is_none().then_some(bytes)
}
