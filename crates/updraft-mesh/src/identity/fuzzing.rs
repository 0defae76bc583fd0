//! Certificates of peers.

use super::der::Reader;
use super::svid::Svid;

/// An element of DER and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'d> {
    /// The tag.
    pub tag: u8,
    /// The content.
    pub content: &'d [u8],
}

/// The first element of these bytes, if there is a well-formed one.
#[must_use]
pub fn first_element(bytes: &[u8]) -> Option<Element<'_>> {
    let (tag, content) = Reader::new(bytes).any().ok()?;
    Some(Element { tag, content })
}

/// What the leaf of a workload says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The SPIFFE id.
    pub id: String,
    /// The serial number, in hexadecimal.
    pub serial: String,
    /// The second since 1970 from which it holds.
    pub not_before: u64,
    /// The one until which it holds.
    pub not_after: u64,
    /// The key, as `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
}

/// Reads a leaf.
#[must_use]
pub fn leaf(der: &[u8]) -> Option<Leaf> {
    let Svid { id, serial, not_before, not_after, public_key } = Svid::parse(der).ok()?;
    let (not_before, not_after) = (not_before.as_secs(), not_after.as_secs());
    Some(Leaf { id: id.to_string(), serial, not_before, not_after, public_key })
}

/// A leaf that is right.
#[must_use]
pub fn sample_leaf() -> Option<Vec<u8>> {
    let mut params = rcgen::CertificateParams::default();
    let name = "spiffe://shop/cart".try_into().ok()?;
    params.subject_alt_names = vec![rcgen::SanType::URI(name)];
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let key = rcgen::KeyPair::generate().ok()?;
    Some(params.self_signed(&key).ok()?.der().to_vec())
}
