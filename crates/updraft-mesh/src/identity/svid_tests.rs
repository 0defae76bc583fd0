//! Certificates that break one rule each, and bytes that are none.

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyUsagePurpose, SanType};

use super::*;
use crate::identity::forge::{self_signed, sound};

const CART: &str = "spiffe://shop/cart";

fn parse(change: impl FnOnce(&mut CertificateParams)) -> Result<Svid, NotAnSvid> {
    let mut params = sound(CART);
    change(&mut params);
    Svid::parse(&self_signed(&params).chain[0])
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

#[test]
fn a_sound_leaf_is_read() {
    let mut params = sound(CART);
    params.serial_number = Some(vec![0x0a, 0xbc].into());
    let forged = self_signed(&params);
    let svid = Svid::parse(&forged.chain[0]).unwrap();
    assert_eq!(svid.id.to_string(), CART);
    assert_eq!(svid.serial, "0abc");
    assert_eq!(svid.not_before.as_secs(), 1_767_225_600, "2026-01-01");
    assert_eq!(svid.not_after.as_secs(), 1_893_456_000, "2030-01-01");
    let key = rustls::crypto::ring::sign::any_ecdsa_type(&forged.key()).unwrap();
    assert_eq!(svid.public_key, key.public_key().unwrap().as_ref());
}

#[test]
fn a_serial_number_has_a_digit() {
    let mut params = sound(CART);
    params.serial_number = Some(vec![0x0a].into());
    let mut der = self_signed(&params).chain[0].to_vec();
    let serial = [0xa0, 3, 2, 1, 2, 2, 1, 0x0a];
    let at = der.windows(serial.len()).position(|window| window == serial).unwrap();
    der[at + 6] = 0;
    der.remove(at + 7);
    // One byte less of the certificate, and of its signed part, whose lengths have two bytes.
    for length in [2, 6] {
        let bytes = u16::from_be_bytes([der[length], der[length + 1]]) - 1;
        der[length..length + 2].copy_from_slice(&bytes.to_be_bytes());
    }
    assert_eq!(Svid::parse(&der), Err(NotAnSvid::Malformed(Malformed)));
}

#[test]
fn other_names_beside_the_one_uri_do_not_matter() {
    let dns = SanType::DnsName("cart.example".try_into().unwrap());
    assert!(parse(|params| params.subject_alt_names.insert(0, dns)).is_ok());
}

#[test]
fn exactly_one_uri_is_there() {
    let second = parse(|params| params.subject_alt_names.push(uri("spiffe://shop/db")));
    assert_eq!(second, Err(NotAnSvid::Uris(2)));
    let again = parse(|params| params.subject_alt_names.push(uri(CART)));
    assert_eq!(again, Err(NotAnSvid::Uris(2)), "even the same one");
    assert_eq!(parse(|params| params.subject_alt_names.clear()), Err(NotAnSvid::Uris(0)));
    let dns = SanType::DnsName("cart.shop".try_into().unwrap());
    assert_eq!(parse(|params| params.subject_alt_names = vec![dns]), Err(NotAnSvid::Uris(0)));
}

#[test]
fn an_id_that_is_nobodys_is_refused() {
    for text in ["spiffe://shop", "spiffe://shop/a/b", "https://shop/cart", "spiffe://shop/cart\0"]
    {
        let read = parse(|params| params.subject_alt_names = vec![uri(text)]);
        assert_eq!(read, Err(NotAnSvid::Id(InvalidSpiffeId)), "{text:?}");
    }
}

#[test]
fn an_authority_is_refused() {
    for constraints in [BasicConstraints::Unconstrained, BasicConstraints::Constrained(0)] {
        let read = parse(|params| params.is_ca = IsCa::Ca(constraints));
        assert_eq!(read, Err(NotAnSvid::Authority));
    }
    assert!(parse(|params| params.is_ca = IsCa::ExplicitNoCa).is_ok());
}

#[test]
fn the_key_may_sign_handshakes_and_nothing_like_a_certificate() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyAgreement, KeyCertSign};
    let cases: [(&[KeyUsagePurpose], bool); 6] = [
        (&[DigitalSignature], true),
        (&[DigitalSignature, KeyAgreement], true),
        (&[], false),
        (&[KeyAgreement], false),
        (&[DigitalSignature, KeyCertSign], false),
        (&[DigitalSignature, CrlSign], false),
    ];
    for (usages, good) in cases {
        let read = parse(|params| params.key_usages = usages.to_vec());
        assert_eq!(read.is_ok(), good, "{usages:?}");
        if !good {
            assert_eq!(read, Err(NotAnSvid::KeyUsage));
        }
    }
}

#[test]
fn an_extension_that_stands_there_twice_is_refused() {
    // A second list of names, with another URI: which of them counts is nobody's choice.
    let names = [&[0x30, 0x14, 0x86, 0x12][..], b"spiffe://shop/root"].concat();
    let twice = CustomExtension::from_oid_content(&[2, 5, 29, 17], names);
    let read = parse(|params| params.custom_extensions.push(twice));
    assert_eq!(read, Err(NotAnSvid::Malformed(Malformed)));
}

#[test]
fn bytes_after_the_certificate_and_cuts_are_refused() {
    let der = self_signed(&sound(CART)).chain[0].to_vec();
    assert!(Svid::parse(&[&der[..], &[0]].concat()).is_err());
    for length in 0..der.len() {
        assert!(Svid::parse(&der[..length]).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        drop(Svid::parse(&bytes));
    }

    /// Changed certificates reach further than arbitrary bytes do.
    #[test]
    fn changed_certificates_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut der = self_signed(&sound(CART)).chain[0].to_vec();
        for (at, byte) in changes {
            let at = at.index(der.len());
            der[at] = byte;
        }
        if let Ok(svid) = Svid::parse(&der) {
            prop_assert!(svid.id.to_string().starts_with("spiffe://"));
        }
    }
}
