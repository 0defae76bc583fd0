//! Headers that keep browsers from doing harm with an answer (OWASP REST Security Cheat
//! Sheet). What a handler has set itself stays.

use http::{HeaderMap, HeaderValue, header};

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// For what is no page: nothing in it is run or loaded, whatever a browser takes it for.
const CONTENT_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// For pages: their own rules are theirs, but nobody frames them unasked.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static("frame-ancestors 'none'");

/// A year, for this host alone.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

pub(super) fn harden(headers: &mut HeaderMap, tls: bool) {
    let kind = headers.get(header::CONTENT_TYPE);
    let page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let policy = if page { PAGE_POLICY } else { CONTENT_POLICY };
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(NOSNIFF);
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.entry(header::REFERRER_POLICY).or_insert(NO_REFERRER);
    if tls {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(HSTS);
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
