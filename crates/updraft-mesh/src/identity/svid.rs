//! Who a certificate is for: the rules of X.509-SVID (SPIFFE, sections 2 to 5) for a leaf.
//!
//! The signature and the chain are checked by webpki; this reads what webpki does not tell.

use rustls::pki_types::UnixTime;

use super::der::{Malformed, Reader, tag};
use super::spiffe::{InvalidSpiffeId, SpiffeId};

/// What a leaf says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Svid {
    pub(crate) id: SpiffeId,
    /// The serial number, in hexadecimal.
    pub(crate) serial: String,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    /// The public key, as DER `SubjectPublicKeyInfo`.
    pub(crate) public_key: Vec<u8>,
}

/// The certificate is not the X.509-SVID of a workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAnSvid {
    #[error("the certificate cannot be read")]
    Malformed(#[source] Malformed),
    #[error("the certificate names {0} URIs; an X.509-SVID has exactly one")]
    Uris(usize),
    #[error("the URI of the certificate is nobody's")]
    Id(#[source] InvalidSpiffeId),
    #[error("the certificate is one of an authority, not of a workload")]
    Authority,
    #[error("the key of the certificate may not sign handshakes, or may sign certificates")]
    KeyUsage,
}

impl From<Malformed> for NotAnSvid {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

/// Object identifiers of extensions (RFC 5280, section 4.2.1): the content of the element.
mod oid {
    pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
    pub(super) const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
    pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
}

/// More extensions than this no certificate of a mesh has.
const EXTENSIONS_MAX: usize = 32;

impl Svid {
    /// Reads a leaf and holds it against the rules: exactly one URI, not an authority, a key
    /// that may sign handshakes and no certificates.
    ///
    /// # Errors
    ///
    /// [`NotAnSvid`] says which rule is broken.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, NotAnSvid> {
        let mut outer = Reader::new(der);
        let mut certificate = outer.nested(tag::SEQUENCE)?;
        outer.end()?;
        let mut signed = certificate.nested(tag::SEQUENCE)?;
        certificate.take(tag::SEQUENCE)?;
        certificate.take(tag::BIT_STRING)?;
        certificate.end()?;
        let version = signed.take(tag::VERSION)?;
        if version != [tag::INTEGER, 1, 2] {
            return Err(Malformed.into());
        }
        let serial = signed.take(tag::INTEGER)?;
        // X.690, section 8.3.1.
        if serial.is_empty() {
            return Err(Malformed.into());
        }
        signed.take(tag::SEQUENCE)?;
        signed.take(tag::SEQUENCE)?;
        let mut validity = signed.nested(tag::SEQUENCE)?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        validity.end()?;
        signed.take(tag::SEQUENCE)?;
        let public_key = element(tag::SEQUENCE, signed.take(tag::SEQUENCE)?)?;
        // RFC 5280 forbids the unique identifiers that could stand here.
        let mut wrapped = signed.nested(tag::EXTENSIONS)?;
        signed.end()?;
        let extensions = Extensions::read(wrapped.nested(tag::SEQUENCE)?)?;
        wrapped.end()?;
        let id = extensions.check()?;
        let serial = serial.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, serial, not_before, not_after, public_key })
    }
}

/// The content as an element again.
fn element(tag: u8, content: &[u8]) -> Result<Vec<u8>, Malformed> {
    let length = u16::try_from(content.len()).ok().ok_or(Malformed)?;
    let [high, low] = length.to_be_bytes();
    let mut bytes = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    bytes.extend_from_slice(content);
    Ok(bytes)
}

/// The extensions that decide, as they stand in the certificate.
#[derive(Default)]
struct Extensions<'d> {
    names: Option<&'d [u8]>,
    constraints: Option<&'d [u8]>,
    usage: Option<&'d [u8]>,
}

impl<'d> Extensions<'d> {
    fn read(mut list: Reader<'d>) -> Result<Self, Malformed> {
        let mut found = Self::default();
        let mut seen: Vec<&[u8]> = Vec::with_capacity(8);
        while !list.is_empty() {
            let mut extension = list.nested(tag::SEQUENCE)?;
            let oid = extension.take(tag::OID)?;
            // RFC 5280, section 4.2: an extension stands there once.
            if seen.contains(&oid) || seen.len() == EXTENSIONS_MAX {
                return Err(Malformed);
            }
            seen.push(oid);
            if extension.peek() == Some(tag::BOOLEAN) && extension.take(tag::BOOLEAN)? != [0xff] {
                return Err(Malformed);
            }
            let value = extension.take(tag::OCTET_STRING)?;
            extension.end()?;
            match oid {
                oid::ALTERNATIVE_NAME => found.names = Some(value),
                oid::BASIC_CONSTRAINTS => found.constraints = Some(value),
                oid::KEY_USAGE => found.usage = Some(value),
                _ => {}
            }
        }
        Ok(found)
    }

    fn check(&self) -> Result<SpiffeId, NotAnSvid> {
        if self.is_authority()? {
            return Err(NotAnSvid::Authority);
        }
        if !self.may_sign_handshakes_only()? {
            return Err(NotAnSvid::KeyUsage);
        }
        self.id()
    }

    fn is_authority(&self) -> Result<bool, Malformed> {
        let Some(value) = self.constraints else { return Ok(false) };
        let mut outer = Reader::new(value);
        let constraints = outer.nested(tag::SEQUENCE)?;
        outer.end()?;
        // FALSE is the default, so DER leaves it out: what stands here can only be TRUE, or
        // the length of a path, which has a meaning for authorities only.
        Ok(!constraints.is_empty())
    }

    /// X.509-SVID, section 4.3: `digitalSignature` is set; `keyCertSign` and `cRLSign` are not.
    fn may_sign_handshakes_only(&self) -> Result<bool, Malformed> {
        const DIGITAL_SIGNATURE: u8 = 0x80;
        const KEY_CERT_SIGN: u8 = 0x04;
        const CRL_SIGN: u8 = 0x02;
        let Some(value) = self.usage else { return Ok(false) };
        let mut outer = Reader::new(value);
        let bits = outer.take(tag::BIT_STRING)?;
        outer.end()?;
        let [_unused, first, ..] = bits else { return Err(Malformed) };
        Ok(first & DIGITAL_SIGNATURE != 0 && first & (KEY_CERT_SIGN | CRL_SIGN) == 0)
    }

    fn id(&self) -> Result<SpiffeId, NotAnSvid> {
        let Some(value) = self.names else { return Err(NotAnSvid::Uris(0)) };
        let mut outer = Reader::new(value);
        let mut names = outer.nested(tag::SEQUENCE)?;
        outer.end()?;
        let (mut count, mut uri) = (0, &[][..]);
        while !names.is_empty() {
            let (tag, content) = names.any()?;
            if tag == tag::URI {
                count += 1;
                uri = content;
            }
        }
        if count != 1 {
            return Err(NotAnSvid::Uris(count));
        }
        let text = std::str::from_utf8(uri).ok().ok_or(NotAnSvid::Id(InvalidSpiffeId))?;
        text.parse().map_err(NotAnSvid::Id)
    }
}

#[cfg(test)]
#[path = "svid_tests.rs"]
mod tests;
