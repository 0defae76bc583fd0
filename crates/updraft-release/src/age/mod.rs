//! The age format, version 1, with X25519 recipients: values at rest can be read by the `age`
//! command and by every other program that knows <https://c2sp.org/age>.
//!
//! Written here on `ring` and `x25519-dalek`, because the `age` crate brings sixty crates and
//! a second `toml`. What is used of the format is small: one kind of stanza, no passphrases,
//! no plugins, no armor.

mod header;
mod key;
mod payload;
mod stanza;

#[cfg(test)]
mod tests;

pub use key::{Identity, InvalidKey, Recipient};

use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use header::Header;

/// Bytes of the key of one file.
const FILE_KEY_BYTES: usize = 16;

/// The key of one file, which the stanzas of its header wrap.
type FileKey = Zeroizing<[u8; FILE_KEY_BYTES]>;

/// Why a file could not be encrypted or decrypted. Tells nothing of what is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// It does not begin as the format says.
    #[error("it is not a file of the age format, version 1")]
    Format,
    /// None of the keys at hand opens it.
    #[error("it is encrypted for other keys")]
    OtherKeys,
    /// It was changed or cut off after it was written.
    #[error("it was changed or cut off after it was written")]
    Damaged,
    /// A recipient cannot be encrypted for.
    #[error("a recipient's key is one that nobody can have")]
    Recipient,
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}

/// Encrypts for all of `recipients`.
///
/// # Errors
///
/// [`AgeError::Recipient`] for a key that is a point of low order, [`AgeError::Randomness`].
pub(crate) fn encrypt(recipients: &[Recipient], plain: &[u8]) -> Result<Vec<u8>, AgeError> {
    let file_key: FileKey = Zeroizing::new(random()?);
    let stanzas = recipients.iter().map(|recipient| stanza::wrap(recipient, &file_key));
    let header = Header { stanzas: stanzas.collect::<Result<_, _>>()? };
    let mut file = header.to_bytes(&file_key)?;
    payload::encrypt(&file_key, plain, &mut file)?;
    Ok(file)
}

/// Decrypts with the first of `identities` that fits.
///
/// # Errors
///
/// All of [`AgeError`] but those of encryption.
pub(crate) fn decrypt(
    identities: &[Identity],
    file: &[u8],
) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let (header, payload) = Header::parse(file)?;
    let keys = identities.iter().flat_map(|identity| {
        header.stanzas.iter().filter_map(|stanza| stanza::unwrap(identity, stanza))
    });
    let file_key = keys.into_iter().next().ok_or(AgeError::OtherKeys)?;
    header.verify(file, payload, &file_key)?;
    payload::decrypt(&file_key, &file[payload..])
}

/// HKDF with SHA-256 (RFC 5869), for one key.
fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, AgeError> {
    let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let mut key = Zeroizing::new([0; 32]);
    let info = [info];
    let expanded = pseudorandom.expand(&info, hkdf::HKDF_SHA256);
    let filled = expanded.and_then(|expanded| expanded.fill(&mut *key));
    filled.map_err(|ring::error::Unspecified| AgeError::Damaged)?;
    Ok(key)
}

fn header_key(file_key: &FileKey) -> Result<hmac::Key, AgeError> {
    let key = derive(&file_key[..], &[], b"header")?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key[..]))
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], AgeError> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|ring::error::Unspecified| AgeError::Randomness)?;
    Ok(bytes)
}
