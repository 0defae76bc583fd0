//! The providers, each with a signer of leafs of its own: rcgen itself takes one only.

use std::error::Error;

use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};

use crate::subject::Subject;

/// Signs with the provider that is measured.
pub(crate) struct Signer {
    public: Vec<u8>,
    pub(crate) pkcs8: Vec<u8>,
    sign: Box<dyn Fn(&[u8]) -> Option<Vec<u8>>>,
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        (self.sign)(message).ok_or(rcgen::Error::RemoteKeyError)
    }
}

/// All that were compiled in.
pub(crate) fn all() -> Result<Vec<Subject>, Box<dyn Error>> {
    let mut subjects = Vec::new();
    #[cfg(feature = "ring")]
    subjects.push(Subject::new(
        "ring",
        rustls::crypto::ring::default_provider(),
        &[rustls::crypto::ring::kx_group::X25519, rustls::crypto::ring::kx_group::SECP256R1],
        None,
        ring_signer,
    )?);
    #[cfg(feature = "aws-lc-rs")]
    {
        use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
        subjects.push(Subject::new(
            "aws-lc-rs",
            default_provider(),
            &[kx_group::X25519, kx_group::SECP256R1],
            Some(kx_group::X25519MLKEM768),
            aws_signer,
        )?);
    }
    Ok(subjects)
}

#[cfg(feature = "ring")]
fn ring_signer() -> Result<Signer, Box<dyn Error>> {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let refused = |_| "ring makes no key";
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(refused)?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random)
        .map_err(|rejected| rejected.to_string())?;
    Ok(Signer {
        public: pair.public_key().as_ref().to_vec(),
        pkcs8: pkcs8.as_ref().to_vec(),
        sign: Box::new(move |message| {
            pair.sign(&random, message).ok().map(|signature| signature.as_ref().to_vec())
        }),
    })
}

#[cfg(feature = "aws-lc-rs")]
fn aws_signer() -> Result<Signer, Box<dyn Error>> {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let refused = |_| "aws-lc-rs makes no key";
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(refused)?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref())?;
    Ok(Signer {
        public: pair.public_key().as_ref().to_vec(),
        pkcs8: pkcs8.as_ref().to_vec(),
        sign: Box::new(move |message| {
            pair.sign(&random, message).ok().map(|signature| signature.as_ref().to_vec())
        }),
    })
}
