//! The encrypted content of a file: STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, 2015)
//! over chunks, of which only the last says that it is the last.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{AgeError, FileKey, derive, random};

/// Bytes of content in one chunk.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of the salt before the first chunk.
const SALT_BYTES: usize = 16;

/// Appends salt and chunks to `file`.
pub(super) fn encrypt(
    file_key: &FileKey,
    plain: &[u8],
    file: &mut Vec<u8>,
) -> Result<(), AgeError> {
    let salt: [u8; SALT_BYTES] = random()?;
    let key = payload_key(file_key, &salt)?;
    file.extend(salt);
    let mut rest = plain;
    for number in 0.. {
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK_BYTES));
        let mut sealed = chunk.to_vec();
        let nonce = nonce(number, after.is_empty());
        let done = key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed);
        done.map_err(|ring::error::Unspecified| AgeError::Damaged)?;
        file.append(&mut sealed);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    Ok(())
}

pub(super) fn decrypt(file_key: &FileKey, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let (salt, mut rest) = payload.split_at_checked(SALT_BYTES).ok_or(AgeError::Damaged)?;
    let key = payload_key(file_key, salt)?;
    let sealed_bytes = CHUNK_BYTES + CHACHA20_POLY1305.tag_len();
    let mut plain = Zeroizing::new(Vec::with_capacity(payload.len()));
    for number in 0.. {
        let (chunk, after) = rest.split_at(rest.len().min(sealed_bytes));
        let mut chunk = Zeroizing::new(chunk.to_vec());
        let nonce = nonce(number, after.is_empty());
        let opened = key.open_in_place(nonce, Aad::empty(), &mut chunk);
        let opened = opened.map_err(|ring::error::Unspecified| AgeError::Damaged)?;
        // An empty last chunk is the content of an empty file, and a lie anywhere else.
        if opened.is_empty() && number > 0 {
            return Err(AgeError::Damaged);
        }
        plain.extend_from_slice(opened);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    Ok(plain)
}

fn payload_key(file_key: &FileKey, salt: &[u8]) -> Result<LessSafeKey, AgeError> {
    let key = derive(&file_key[..], salt, b"payload")?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, &key[..]);
    Ok(LessSafeKey::new(key.map_err(|ring::error::Unspecified| AgeError::Damaged)?))
}

/// Eleven bytes count the chunks, the last one is 1 for the last of them.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[3..11].copy_from_slice(&number.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}
