//! Headers that keep browsers from doing harm with an answer (OWASP REST Security Cheat
//! Sheet). What a handler has set itself stays.

use http::{HeaderMap, HeaderName, HeaderValue, header};

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// For what is no page: nothing in it is run or loaded, whatever a browser takes it for.
const CONTENT_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// For pages: their own rules are theirs, but nobody frames them unasked.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static("frame-ancestors 'none'");

/// A year, for this host alone.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The last one is for TLS alone.
const NAMES: [HeaderName; 4] = [
    header::X_CONTENT_TYPE_OPTIONS,
    header::CONTENT_SECURITY_POLICY,
    header::REFERRER_POLICY,
    header::STRICT_TRANSPORT_SECURITY,
];

pub(super) fn harden(headers: &mut HeaderMap, tls: bool) {
    let mut page = false;
    let mut missing = [true; 4];
    // Answers have few headers: one look at all is cheaper than a search for each of these.
    for (name, value) in headers.iter() {
        page |= *name == header::CONTENT_TYPE && value.as_bytes().starts_with(b"text/html");
        for (missing, wanted) in missing.iter_mut().zip(&NAMES) {
            *missing &= name != wanted;
        }
    }
    let policy = if page { PAGE_POLICY } else { CONTENT_POLICY };
    let values = [NOSNIFF, policy, NO_REFERRER, HSTS];
    let wanted = if tls { NAMES.len() } else { NAMES.len() - 1 };
    for ((name, value), missing) in NAMES.into_iter().zip(values).zip(missing).take(wanted) {
        if missing {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_handler_says_stays_and_only_tls_is_made_strict() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("origin"));
        harden(&mut headers, true);
        assert_eq!(headers[header::REFERRER_POLICY], "origin");
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], "frame-ancestors 'none'");
        assert_eq!(headers[header::STRICT_TRANSPORT_SECURITY], "max-age=31536000");
        let mut headers = HeaderMap::new();
        harden(&mut headers, false);
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src"));
        assert!(!headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
