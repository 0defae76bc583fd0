//! Paths that every program behind the gateway reads alike. Authorization and routes are
//! decided by the path as it stands, so one that another program may turn into a second path
//! is refused, never normalised.
//!
//! Empty segments are kept but for the first: `//host/path` is a network-path reference to
//! some (RFC 3986, 4.2). A path template has no empty segment, so none but `{*rest}` fits.

use memchr::{memchr, memchr2};

use super::rule::Rule;

/// Checks a path without query, or `*`.
pub(super) fn check(path: &[u8]) -> Result<(), Rule> {
    match path {
        b"*" => return Ok(()),
        [b'/', b'/', ..] => return Err(Rule::EmptyFirstSegment),
        [b'/', ..] => {}
        _ => return Err(Rule::InvalidTarget),
    }
    let mut rest = path;
    let mut encoded = false;
    while let Some(at) = memchr2(b'%', b'\\', rest) {
        if rest[at] == b'\\' {
            return Err(Rule::EncodedSlash);
        }
        rest = &rest[at..];
        octet(rest)?;
        rest = &rest[3..];
        encoded = true;
    }
    let dots = encoded || memchr(b'.', path).is_some();
    if dots && path.split(|byte| *byte == b'/').any(is_dot_segment) {
        return Err(Rule::DotSegment);
    }
    Ok(())
}

/// Checks the encoded octet that `rest` begins with.
fn octet(rest: &[u8]) -> Result<(), Rule> {
    let value = decoded(rest).ok_or(Rule::InvalidPercent)?;
    match value {
        b'/' | b'\\' => Err(Rule::EncodedSlash),
        0..0x20 | 0x7f => Err(Rule::EncodedControl),
        // The first octets of UTF-8 that spells ASCII with more octets than it needs, which
        // lenient decoders take for a slash or a dot (RFC 3629, 10).
        0xc0 | 0xc1 => Err(Rule::InvalidPercent),
        0xe0 | 0xf0 | 0xf8 | 0xfc => {
            let least = match value {
                0xe0 => 0xa0,
                0xf0 => 0x90,
                // Five and six octets, which UTF-8 had before RFC 3629.
                0xf8 => 0x88,
                _ => 0x84,
            };
            match rest.get(3..).and_then(decoded) {
                Some(next @ 0x80..0xc0) if next < least => Err(Rule::InvalidPercent),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn decoded(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = *text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// `.` or `..`, encoded or not, also with parameters behind, which servlet containers take
/// away before they resolve it.
fn is_dot_segment(segment: &[u8]) -> bool {
    let mut rest = segment;
    let mut dots = 0;
    loop {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            [] | [b';', ..] | [b'%', b'3', b'b' | b'B', ..] => return matches!(dots, 1 | 2),
            _ => return false,
        };
        dots += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_refused() {
        for (path, want) in [
            ("/", Ok(())),
            ("*", Ok(())),
            ("/a/b.c/...", Ok(())),
            ("/a//b", Ok(())),
            ("/a/.b", Ok(())),
            ("/a/..b;c", Ok(())),
            ("/%C3%A9/%e2%82%ac/%F0%9F%98%80", Ok(())),
            ("/a%20b", Ok(())),
            ("/f%fcr/%f8l", Ok(())),
            ("/%252e%252e/", Ok(())),
            ("//a", Err(Rule::EmptyFirstSegment)),
            ("a", Err(Rule::InvalidTarget)),
            ("", Err(Rule::InvalidTarget)),
            ("/a/../b", Err(Rule::DotSegment)),
            ("/a/..", Err(Rule::DotSegment)),
            ("/./a", Err(Rule::DotSegment)),
            ("/a/%2e%2E/b", Err(Rule::DotSegment)),
            ("/a/.%2e", Err(Rule::DotSegment)),
            ("/a/%2e", Err(Rule::DotSegment)),
            ("/a/..;x=1/b", Err(Rule::DotSegment)),
            ("/a/..%3bx/b", Err(Rule::DotSegment)),
            ("/a%2fb", Err(Rule::EncodedSlash)),
            ("/a%5Cb", Err(Rule::EncodedSlash)),
            ("/a\\b", Err(Rule::EncodedSlash)),
            ("/a%00", Err(Rule::EncodedControl)),
            ("/a%0d%0aX: y", Err(Rule::EncodedControl)),
            ("/a%7f", Err(Rule::EncodedControl)),
            ("/a%", Err(Rule::InvalidPercent)),
            ("/a%2", Err(Rule::InvalidPercent)),
            ("/a%zz", Err(Rule::InvalidPercent)),
            ("/a%+1", Err(Rule::InvalidPercent)),
            ("/%c0%af", Err(Rule::InvalidPercent)),
            ("/%c1%9c", Err(Rule::InvalidPercent)),
            ("/%e0%80%af", Err(Rule::InvalidPercent)),
            ("/%f0%80%80%af", Err(Rule::InvalidPercent)),
            ("/%f8%80%80%80%af", Err(Rule::InvalidPercent)),
            ("/%fc%80%80%80%80%ae", Err(Rule::InvalidPercent)),
        ] {
            assert_eq!(check(path.as_bytes()), want, "{path}");
        }
    }

    proptest::proptest! {
        /// Whatever a lenient reader makes of a path, it stays inside.
        #[test]
        fn no_accepted_path_decodes_to_one_that_leaves_its_place(
            path in "/([./%;a\\\\]|%2e|%2E|%2f|%5c){0,12}",
        ) {
            if check(path.as_bytes()).is_ok() {
                let read = path.replace("%2e", ".").replace("%2E", ".");
                for segment in read.split(['/', '\\']) {
                    let name = segment.split(';').next().unwrap_or_default();
                    proptest::prop_assert!(name != "." && name != "..", "{}", path);
                }
                proptest::prop_assert!(!read.to_ascii_lowercase().contains("%2f"));
            }
        }
    }
}
