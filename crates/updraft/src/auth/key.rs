//! Keys by which tokens are verified: JWK Sets (RFC 7517, 7518, 8037) and one shared secret.
//! A key knows by what it is made which algorithms it can be used with, so that no token can
//! choose to have an RSA key taken for the secret of an HMAC (RFC 8725, section 2.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{hmac, signature};
use serde::Deserialize;

use crate::Secret;
use crate::config::Variable;

/// More keys than this have no set: an issuer has two or three.
const KEYS_MOST: usize = 32;

/// The shortest secret in bytes: as long as what HMAC with SHA-256 gives (RFC 7518, 3.2).
pub(super) const SECRET_BYTES_LEAST: usize = 32;

/// A way to sign (RFC 7518, section 3.1; RFC 8037, section 3.1). `none` is no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
    Hs256,
    Hs384,
    Hs512,
}

impl Algorithm {
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            // By RFC 9864 the same is called by its curve.
            "EdDSA" | "Ed25519" => Self::EdDsa,
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// Whether who verifies could sign as well.
    pub(super) fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// A key.
#[derive(Clone)]
struct Key {
    id: Option<String>,
    /// The one algorithm that it is for, when it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Points of the curves, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    Secret(Secret),
}

/// Keys that tokens of one issuer are verified by.
#[derive(Clone, Default)]
pub(super) struct KeySet(Vec<Key>);

/// How a signature is to these keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Good,
    Bad,
    /// None of them can have made it: another one may have come meanwhile.
    NoKey,
}

/// A JWK Set cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeySetError {
    #[error("is no JWK Set (RFC 7517)")]
    NoSet(#[source] serde_json::Error),
    #[error("has more than {KEYS_MOST} keys")]
    TooMany,
    #[error("holds no key that can be used: RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519")]
    NoKey,
    #[error("holds a private or secret key: give the public keys alone")]
    Private,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("keys", &self.0.len()).finish()
    }
}

/// What is read of a JWK.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// There in private keys.
    d: Option<serde::de::IgnoredAny>,
    /// There in secret keys.
    k: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// The keys of a set that can be used. Others are ignored, as the RFC has it.
    ///
    /// # Errors
    ///
    /// [`KeySetError`].
    pub(super) fn of_json(text: &[u8]) -> Result<Self, KeySetError> {
        let set: Jwks = serde_json::from_slice(text).map_err(KeySetError::NoSet)?;
        if KEYS_MOST < set.keys.len() {
            return Err(KeySetError::TooMany);
        }
        let jwks = set.keys.into_iter().filter_map(|it| serde_json::from_value::<Jwk>(it).ok());
        let jwks: Vec<Jwk> = jwks.collect();
        if jwks.iter().any(|jwk| jwk.d.is_some() || jwk.k.is_some()) {
            return Err(KeySetError::Private);
        }
        let keys: Vec<Key> = jwks.into_iter().filter_map(Key::of_jwk).collect();
        if keys.is_empty() { Err(KeySetError::NoKey) } else { Ok(Self(keys)) }
    }

    /// The same with a shared secret.
    pub(super) fn with_secret(mut self, secret: Secret) -> Self {
        self.0.push(Key { id: None, algorithm: None, material: Material::Secret(secret) });
        self
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one of these keys has signed `message`. A token that names its key is verified
    /// by that, or by one without a name.
    pub(super) fn check(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Checked {
        let named = |key: &Key| match (&key.id, id) {
            (Some(own), Some(id)) => own == id,
            _ => true,
        };
        let mut checked = Checked::NoKey;
        for key in self.0.iter().filter(|key| key.fits(algorithm) && named(key)) {
            if key.material.has_signed(algorithm, message, signature) {
                return Checked::Good;
            }
            checked = Checked::Bad;
        }
        checked
    }
}

impl Key {
    fn of_jwk(jwk: Jwk) -> Option<Self> {
        let signs = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !signs {
            return None;
        }
        let algorithm = match &jwk.alg {
            // A key for what is not known here is of no use here.
            Some(name) => Some(Algorithm::of_name(name)?),
            None => None,
        };
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let point = |size: usize| {
            let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
            (x.len() == size && y.len() == size).then(|| [&[4][..], &x, &y].concat())
        };
        let material = match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (bytes(&jwk.n)?, bytes(&jwk.e)?);
                let n: Vec<u8> = n.into_iter().skip_while(|byte| *byte == 0).collect();
                let e: Vec<u8> = e.into_iter().skip_while(|byte| *byte == 0).collect();
                (256..=1024).contains(&n.len()).then_some(Material::Rsa { n, e })?
            }
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&jwk.x).filter(|x| x.len() == 32)?),
            _ => return None,
        };
        Some(Self { id: jwk.kid, algorithm, material })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        let by_kind = match &self.material {
            Material::Rsa { .. } => {
                matches!(algorithm, A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512)
            }
            Material::P256(_) => algorithm == A::Es256,
            Material::P384(_) => algorithm == A::Es384,
            Material::Ed25519(_) => algorithm == A::EdDsa,
            Material::Secret(_) => algorithm.is_symmetric(),
        };
        by_kind && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

impl Material {
    fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { n, e } => rsa(algorithm).is_some_and(|parameters| {
                let key = signature::RsaPublicKeyComponents { n, e };
                key.verify(parameters, message, signature).is_ok()
            }),
            Self::P256(point) => {
                verified(&signature::ECDSA_P256_SHA256_FIXED, point, message, signature)
            }
            Self::P384(point) => {
                verified(&signature::ECDSA_P384_SHA384_FIXED, point, message, signature)
            }
            Self::Ed25519(key) => verified(&signature::ED25519, key, message, signature),
            Self::Secret(secret) => hash(algorithm).is_some_and(|hash| {
                let key = hmac::Key::new(hash, secret.expose().as_bytes());
                // In a time that does not depend on where they differ.
                hmac::verify(&key, message, signature).is_ok()
            }),
        }
    }
}

fn verified(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    signature::UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

fn rsa(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn hash(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    Some(match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return None,
    })
}

impl Variable for KeySet {
    const EXPECTED: &'static str =
        "a JWK Set of public keys (RFC 7517), or better its _FILE to a file with it";

    fn parse(text: &str) -> Result<Self, String> {
        Self::of_json(text.as_bytes()).map_err(|error| error.to_string())
    }

    fn show(&self) -> String {
        match self.len() {
            1 => "1 key".to_owned(),
            count => format!("{count} keys"),
        }
    }
}
