//! One recipient of a file: the file's key, wrapped for an X25519 key.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::header::{Stanza, base64, of_base64};
use super::{AgeError, FILE_KEY_BYTES, FileKey, Identity, Recipient, derive, random};

/// The kind of stanza that is written and read.
const KIND: &str = "X25519";
const INFO: &[u8] = b"age-encryption.org/v1/X25519";

pub(super) fn wrap(recipient: &Recipient, file_key: &FileKey) -> Result<Stanza, AgeError> {
    let ephemeral = StaticSecret::from(random::<32>()?);
    let share = PublicKey::from(&ephemeral);
    let key = wrapping_key(&ephemeral, &recipient.0, &share, &recipient.0);
    let key = key.ok_or(AgeError::Recipient)?;
    let mut body = file_key.to_vec();
    // The key is used once, so its nonce may be zero.
    let sealed = key.seal_in_place_append_tag(zero(), Aad::empty(), &mut body);
    sealed.map_err(|ring::error::Unspecified| AgeError::Recipient)?;
    Ok(Stanza { arguments: vec![KIND.to_owned(), base64(share.as_bytes())], body })
}

/// The file's key, if the stanza was made for this identity.
pub(super) fn unwrap(identity: &Identity, stanza: &Stanza) -> Option<FileKey> {
    let [kind, share] = stanza.arguments.as_slice() else { return None };
    let share: [u8; 32] = of_base64(share)?.try_into().ok()?;
    if kind != KIND || stanza.body.len() != FILE_KEY_BYTES + CHACHA20_POLY1305.tag_len() {
        return None;
    }
    let share = PublicKey::from(share);
    let key = wrapping_key(&identity.0, &share, &share, &identity.recipient().0)?;
    let mut body = Zeroizing::new(stanza.body.clone());
    let plain = key.open_in_place(zero(), Aad::empty(), &mut body).ok()?;
    let plain: [u8; FILE_KEY_BYTES] = (&*plain).try_into().ok()?;
    Some(Zeroizing::new(plain))
}

/// `None` where the other's key is a point of low order, with which anybody has the secret.
fn wrapping_key(
    own: &StaticSecret,
    other: &PublicKey,
    share: &PublicKey,
    recipient: &PublicKey,
) -> Option<LessSafeKey> {
    let shared = own.diffie_hellman(other);
    if !shared.was_contributory() {
        return None;
    }
    let salt = [&share.as_bytes()[..], &recipient.as_bytes()[..]].concat();
    let key = derive(shared.as_bytes(), &salt, INFO).ok()?;
    Some(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key[..]).ok()?))
}

fn zero() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}
