//! What a gateway and the authority say to each other over the control socket: a request for
//! a certificate, the certificate, the roots that are trusted, and what is served now.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::Name;

/// Bytes that are text in JSON: base64url without padding (RFC 4648, section 5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Octets(pub Vec<u8>);

/// The text is not base64url.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not base64url without padding")]
pub struct InvalidOctets(#[source] base64::DecodeError);

/// The body of `POST /v1/mesh/identity`: a service asks for a certificate. Its private key
/// stays where it was born; `proof` shows that it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityRequest {
    /// Who asks.
    pub service: Name,
    /// The public key, an ECDSA key on P-256 as DER `SubjectPublicKeyInfo` (RFC 5480).
    pub public_key: Octets,
    /// Bytes by chance, of this request only: 16 to 64.
    pub nonce: Octets,
    /// The signature by the key over what is asked: ECDSA with SHA-256, in ASN.1.
    pub proof: Octets,
}

/// The answer to an [`IdentityRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityResponse {
    /// The certificate of the service, and those between it and the root, in DER.
    pub chain: Vec<Octets>,
    /// The roots that are trusted now.
    pub bundle: BundleDocument,
    /// When the first of the chain ends, in seconds since 1970.
    pub not_after: u64,
}

/// The answer to `GET /v1/mesh/bundle`: all roots of the system that are trusted now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleDocument {
    /// Which state this is; a greater one is newer.
    pub sequence: u64,
    /// The certificates of the roots, in DER.
    pub roots: Vec<Octets>,
}

/// What a gateway serves now for one of its services: for metrics and `updraft mesh identity`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// The service.
    pub service: Name,
    /// The serial number of the certificate, in hexadecimal; `None`: there is none yet.
    pub serial: Option<String>,
    /// When it ends, in seconds since 1970.
    pub not_after: Option<u64>,
    /// When it was received, in seconds since 1970.
    pub issued: Option<u64>,
    /// Certificates received in all, the first one too.
    pub renewals: u64,
    /// Requests that brought none.
    pub failures: u64,
    /// Why the last request brought none; `None` once one has.
    pub last_error: Option<String>,
}

/// The body of `POST /v1/mesh/rotate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RotateRequest {
    /// Gets a new certificate; `None`: all services do.
    pub service: Option<Name>,
    /// Begins a rotation of the root of trust instead.
    pub root: bool,
}

/// The answer to a [`RotateRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateAnswer {
    /// Whether a rotation of the root began; false: one goes on already; `None`: none was
    /// asked for.
    pub root_begun: Option<bool>,
}

impl TryFrom<String> for Octets {
    type Error = InvalidOctets;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        URL_SAFE_NO_PAD.decode(text).map(Self).map_err(InvalidOctets)
    }
}

impl From<Octets> for String {
    fn from(octets: Octets) -> Self {
        URL_SAFE_NO_PAD.encode(octets.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn octets_come_back_from_json(bytes: Vec<u8>) {
            let text = serde_json::to_string(&Octets(bytes.clone()))?;
            prop_assert!(!text.contains(['+', '/', '=']), "{text}");
            prop_assert_eq!(serde_json::from_str::<Octets>(&text)?.0, bytes);
        }
    }

    #[test]
    fn other_alphabets_and_padding_are_refused() {
        for text in ["\"+/8\"", "\"AA==\"", "\"A\"", "\"AB\""] {
            assert!(serde_json::from_str::<Octets>(text).is_err(), "{text}");
        }
    }
}
