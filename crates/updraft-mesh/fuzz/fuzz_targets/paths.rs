//! Paths: what a lenient program behind the gateway makes of a path that passed is that path.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_mesh::fuzzing::check_path;
use updraft_mesh_fuzz::{requests, sow};

fuzz_target!(
    init: sow(requests().iter().filter_map(|raw| {
        Some(raw.split(|byte| *byte == b' ').nth(1)?.to_vec())
    })),
    |path: &[u8]| {
        if !path.is_ascii() || check_path(path).is_err() || path == b"*" {
            return;
        }
        let decoded = decoded(path);
        let slashes = |text: &[u8]| text.iter().filter(|byte| **byte == b'/').count();
        assert_eq!(slashes(&decoded), slashes(path), "{}", path.escape_ascii());
        assert!(!decoded.contains(&b'\\') && !decoded.starts_with(b"//"));
        let control = |byte: &u8| *byte < 0x20 || *byte == 0x7f;
        assert!(path.iter().any(control) || !decoded.iter().any(control));
        for segment in decoded.split(|byte| *byte == b'/') {
            let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
            assert!(name != b"." && name != b"..", "{}", path.escape_ascii());
        }
    }
);

/// Decodes percent signs, and what makes UTF-8 of as many octets as somebody once allowed, though
/// it needs fewer.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = path;
    while let [first, after @ ..] = rest {
        rest = after;
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let octet = digits.filter(|_| *first == b'%').and_then(|d| u8::from_str_radix(d, 16).ok());
        rest = if octet.is_some() { &after[2..] } else { rest };
        octets.push(octet.unwrap_or(*first));
    }
    let mut text = Vec::new();
    let mut rest = &octets[..];
    while let [first, after @ ..] = rest {
        let more = match first {
            0xc0..0xe0 => 1,
            0xe0..0xf0 => 2,
            0xf0..0xf8 => 3,
            0xf8..0xfc => 4,
            0xfc..0xfe => 5,
            _ => 0,
        };
        let mask = 0x7f_u32 >> more >> u32::from(more > 0);
        let tail = after.get(..more).filter(|tail| tail.iter().all(|it| it & 0xc0 == 0x80));
        let value = tail.map(|tail| {
            tail.iter().fold(u32::from(*first) & mask, |sum, it| sum << 6 | u32::from(it & 0x3f))
        });
        match value {
            Some(value @ ..0x80) if more > 0 => {
                text.push(u8::try_from(value).unwrap_or_default());
                rest = &after[more..];
            }
            _ => {
                text.push(*first);
                rest = after;
            }
        }
    }
    text
}
