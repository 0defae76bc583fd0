//! Key pairs: ECDSA on P-256 with SHA-256, the one kind of key in a mesh. A private key is
//! born here, is zeroed when it goes, and is in no `Debug` or `Display`.

use std::fmt;

use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A private key and its public key.
pub(crate) struct KeyPair {
    /// PKCS#8, for the sealed state of the authority and for rustls.
    pkcs8: Zeroizing<Vec<u8>>,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

/// A public key on P-256: an uncompressed point (SEC 1, section 2.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey([u8; POINT]);

/// A key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("no key could be made: the system gives no random bytes")]
    Generate,
    #[error("the private key is not an ECDSA key on P-256 in PKCS#8")]
    Private,
    #[error("the public key is not an ECDSA key on P-256 in SubjectPublicKeyInfo")]
    Public,
    #[error("the key did not sign")]
    Sign,
}

/// Bytes of an uncompressed point on P-256.
const POINT: usize = 65;

/// `SubjectPublicKeyInfo` of a key on P-256 (RFC 5480, section 2) up to the point: a sequence
/// of `ecPublicKey` on `secp256r1`, and the head of the bit string.
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The first byte of a point that is not compressed.
const UNCOMPRESSED: u8 = 0x04;

impl KeyPair {
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
            .ok()
            .ok_or(KeyError::Generate)?;
        Self::from_pkcs8(Zeroizing::new(document.as_ref().to_vec()))
    }

    pub(crate) fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &random)
            .ok()
            .ok_or(KeyError::Private)?;
        Ok(Self { pkcs8, pair, random })
    }

    /// The private key. Whoever takes it has to zero it.
    pub(crate) fn pkcs8(&self) -> &Zeroizing<Vec<u8>> {
        &self.pkcs8
    }

    /// The public key, as DER `SubjectPublicKeyInfo`.
    pub(crate) fn spki(&self) -> Vec<u8> {
        [&SPKI_HEAD[..], self.pair.public_key().as_ref()].concat()
    }

    /// The signature over a message, in ASN.1.
    pub(crate) fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.sign(&self.random, message).ok().ok_or(KeyError::Sign)?;
        Ok(signature.as_ref().to_vec())
    }

    /// The key as rustls signs with it.
    pub(crate) fn for_tls(&self) -> Result<Arc<dyn rustls::sign::SigningKey>, KeyError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.as_slice()));
        rustls::crypto::ring::sign::any_ecdsa_type(&key).ok().ok_or(KeyError::Private)
    }
}

impl PublicKey {
    /// Reads `SubjectPublicKeyInfo`. Whether the point is on the curve shows when a signature
    /// is checked with it.
    pub(crate) fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let point = spki.strip_prefix(&SPKI_HEAD).ok_or(KeyError::Public)?;
        let point: [u8; POINT] = point.try_into().ok().ok_or(KeyError::Public)?;
        if point[0] != UNCOMPRESSED {
            return Err(KeyError::Public);
        }
        Ok(Self(point))
    }

    /// Whether the signature is by this key over this message.
    #[must_use]
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0);
        key.verify(message, signature).is_ok()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair")
    }
}

impl PublicKeyData for KeyPair {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for KeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signature(message).ok().ok_or(rcgen::Error::RemoteKeyError)
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_pair_tells_nothing_of_its_private_key() {
        let key = KeyPair::generate().unwrap();
        assert_eq!(format!("{key:?} {:?}", Some(&key)), "KeyPair Some(KeyPair)");
    }

    #[test]
    fn a_public_key_verifies_what_its_private_key_signed_and_nothing_else() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let public = PublicKey::from_spki(&key.spki()).unwrap();
        assert_eq!(rcgen::PublicKeyData::subject_public_key_info(&public), key.spki());
        let signature = key.signature(b"message").unwrap();
        assert!(public.verifies(b"message", &signature));
        assert!(!public.verifies(b"messagf", &signature));
        assert!(!public.verifies(b"message", &other.signature(b"message").unwrap()));
    }

    proptest! {
        #[test]
        fn other_public_keys_are_refused(at in 0_usize..27, flip in 1_u8..=255, cut in 0_usize..91) {
            let spki = KeyPair::generate()?.spki();
            let mut flipped = spki.clone();
            flipped[at] ^= flip;
            prop_assert!(PublicKey::from_spki(&flipped).is_err());
            prop_assert!(PublicKey::from_spki(&spki[..cut]).is_err());
            prop_assert!(PublicKey::from_spki(&[&spki[..], &[0]].concat()).is_err());
        }
    }
}
