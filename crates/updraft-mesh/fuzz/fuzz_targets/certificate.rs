//! Certificates of peers: no bytes make the reader panic, an element is where its length says, and
//! a leaf is one only whole.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use updraft_mesh::fuzzing::{first_element, leaf, sample_leaf};
use updraft_mesh_fuzz::sow;

static SAMPLE: LazyLock<Vec<u8>> = LazyLock::new(|| sample_leaf().expect("a leaf can be made"));

fuzz_target!(
    init: {
        assert!(leaf(&SAMPLE).is_some(), "the sample is right");
        sow([[&b"\0"[..], &SAMPLE].concat(), b"\x01\0\x10\x01\x02".to_vec()]);
    },
    |data: &[u8]| {
        let Some((way, data)) = data.split_first() else { return };
        if way & 1 == 0 {
            check(data);
        } else {
            check(&changed(data));
        }
    }
);

/// The sample with some bytes set, put in or taken out.
fn changed(edits: &[u8]) -> Vec<u8> {
    let mut der = SAMPLE.clone();
    for edit in edits.as_chunks::<4>().0 {
        let [high, low, kind, byte] = *edit;
        let at = usize::from(u16::from_be_bytes([high, low])) % der.len().max(1);
        match kind % 4 {
            0 => der.insert(at, byte),
            1 if !der.is_empty() => drop(der.remove(at)),
            2 => der.truncate(at),
            _ => der.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
        }
    }
    der
}

fn check(der: &[u8]) {
    if let Some(element) = first_element(der) {
        let length = element.content.len();
        let head = match length {
            0..0x80 => vec![element.tag, u8::try_from(length).unwrap_or_default()],
            0x80..0x100 => vec![element.tag, 0x81, u8::try_from(length).unwrap_or_default()],
            _ => {
                let [high, low] = u16::try_from(length).unwrap_or_default().to_be_bytes();
                vec![element.tag, 0x82, high, low]
            }
        };
        assert!(der.starts_with(&[&head, element.content].concat()));
    }
    let Some(found) = leaf(der) else { return };
    let rest = found.id.strip_prefix("spiffe://").expect("an id is a SPIFFE id");
    let (system, service) = rest.split_once('/').expect("it has two parts");
    let plain = |name: &str| {
        name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
            && (1..=63).contains(&name.len())
    };
    assert!(plain(system) && plain(service), "{}", found.id);
    assert!(!found.serial.is_empty() && found.serial.len() % 2 == 0);
    let key = &found.public_key[..];
    assert!(der.windows(key.len()).any(|part| part == key));
    assert!(first_element(key).is_some_and(|key| key.tag == 0x30));
    assert_eq!(leaf(&[der, &[0]].concat()), None);
    assert_eq!(leaf(&der[..der.len() - 1]), None);
}
