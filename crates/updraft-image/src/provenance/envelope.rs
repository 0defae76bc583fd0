//! Envelopes of DSSE 1.0: a statement and who signed it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{PREDICATE_TYPE, PublicKey, STATEMENT_TYPE, Statement};
use crate::IN_TOTO;

/// The largest envelope that is read, as a document of a layout.
const ENVELOPE_MOST: usize = 4 << 20;

/// The most signatures that are looked at.
const SIGNATURES_MOST: usize = 16;

/// A signed statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The statement's bytes in Base64.
    pub payload: String,
    /// Who signed it.
    pub signatures: Vec<Signature>,
}

/// A signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The key's name, a hint only.
    #[serde(default)]
    pub keyid: String,
    /// In Base64.
    pub sig: String,
}

/// An envelope says nothing that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// It has another shape.
    #[error("it is no DSSE envelope with an in-toto statement")]
    Shape(#[source] serde_json::Error),
    /// It is larger than is read.
    #[error("it has more than {ENVELOPE_MOST} bytes")]
    TooLarge,
    /// Its payload is not Base64.
    #[error("its payload is not Base64")]
    Encoding(#[source] base64::DecodeError),
    /// It holds something else than provenance.
    #[error("it holds {found}, and {expected} is expected")]
    Kind {
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// None of the keys made one of its signatures.
    #[error("no key that is trusted signed it; it names {named}")]
    Untrusted {
        /// The keys that it names.
        named: String,
    },
}

impl Envelope {
    /// Reads an envelope; nothing in it is checked yet.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError::Shape`], [`EnvelopeError::TooLarge`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > ENVELOPE_MOST {
            return Err(EnvelopeError::TooLarge);
        }
        serde_json::from_slice(bytes).map_err(EnvelopeError::Shape)
    }

    /// As compact JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The statement, when one of `trusted` signed it and it is provenance.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError`]; the signature is checked before the statement is read.
    pub fn verify(&self, trusted: &[PublicKey]) -> Result<Statement, EnvelopeError> {
        let payload = STANDARD.decode(&self.payload).map_err(EnvelopeError::Encoding)?;
        let signed = encoded(&self.payload_type, &payload);
        let is_right = |signature: &Signature| {
            let Ok(bytes) = STANDARD.decode(&signature.sig) else { return false };
            trusted.iter().any(|key| key.made(&bytes, &signed))
        };
        if !self.signatures.iter().take(SIGNATURES_MOST).any(is_right) {
            let named = self.signatures.iter().take(SIGNATURES_MOST).map(|it| it.keyid.as_str());
            let named: Vec<&str> = named.collect();
            let named = if named.is_empty() { "none".to_owned() } else { named.join(", ") };
            return Err(EnvelopeError::Untrusted { named });
        }
        expect(&self.payload_type, IN_TOTO)?;
        let statement: Statement =
            serde_json::from_slice(&payload).map_err(EnvelopeError::Shape)?;
        expect(&statement.kind, STATEMENT_TYPE)?;
        expect(&statement.predicate_type, PREDICATE_TYPE)?;
        Ok(statement)
    }
}

fn expect(found: &str, expected: &'static str) -> Result<(), EnvelopeError> {
    let found = found.to_owned();
    if found == expected { Ok(()) } else { Err(EnvelopeError::Kind { found, expected }) }
}

/// What is signed: DSSE's pre-authentication encoding, so that no payload can be taken for one
/// of another type.
pub(super) fn encoded(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}
