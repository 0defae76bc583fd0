//! Who is asked: the value of Host, `:authority`, and the authority of an absolute target.

/// Whether it is a name, an IPv4 address or an IPv6 address in brackets, with an optional
/// port: `uri-host [":" port]` of RFC 9110, 7.2, without user information, without percent
/// signs and not empty. Names are of letters, digits, `-`, `.` and `_`.
pub(super) fn is_valid(text: &[u8]) -> bool {
    let (host, port) = if text.starts_with(b"[") {
        let Some(end) = memchr::memchr(b']', text) else { return false };
        let inner = &text[1..end];
        let hex = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        if inner.len() < 2 || !inner.iter().all(hex) {
            return false;
        }
        (&text[..=end], &text[end + 1..])
    } else {
        let end = memchr::memchr(b':', text).unwrap_or(text.len());
        if !super::text::is_host(&text[..end]) {
            return false;
        }
        text.split_at(end)
    };
    let port = match port {
        [] => true,
        [b':', digits @ ..] => is_port(digits),
        _ => false,
    };
    !host.is_empty() && port
}

fn is_port(digits: &[u8]) -> bool {
    let number = digits.iter().try_fold(0_u32, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number.saturating_mul(10).saturating_add(u32::from(byte - b'0')))
    });
    number.is_some_and(|number| !digits.is_empty() && digits.len() <= 5 && number <= 65_535)
}

/// Whether both name the same place: letters in any case, the port of the scheme left out or
/// not (RFC 9110, 4.2.3).
pub(super) fn is_same(one: &[u8], other: &[u8], secure: bool) -> bool {
    let port: &[u8] = if secure { b":443" } else { b":80" };
    let plain = |text: &[u8]| text.len() - if text.ends_with(port) { port.len() } else { 0 };
    one[..plain(one)].eq_ignore_ascii_case(&other[..plain(other)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        for valid in ["a", "a.b:80", "my_service", "127.0.0.1:65535", "[::1]", "[::1]:80", "a."] {
            assert!(is_valid(valid.as_bytes()), "{valid}");
        }
        for invalid in [
            "", ":80", "a:", "a:b", "a:65536", "a:000080", "a:80:80", "u@a", "a/b", "a b", "a,b",
            "a?b", "a#b", "a%41", "[]", "[::1", "[::1]x", "[::g]", "::1", "a\\b", "a:+1", "\u{e9}",
        ] {
            assert!(!is_valid(invalid.as_bytes()), "{invalid}");
        }
    }

    #[test]
    fn the_port_of_the_scheme_may_be_left_out() {
        assert!(is_same(b"A.b:80", b"a.B", false));
        assert!(is_same(b"a", b"a:443", true));
        assert!(!is_same(b"a:80", b"a", true));
        assert!(!is_same(b"a", b"b", false));
    }
}
