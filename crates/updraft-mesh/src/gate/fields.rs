//! Names of fields, by what they decide.

/// A field that decides where a message ends or who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Host,
    Upgrade,
    ContentLength,
    TransferEncoding,
}

/// The name is one of them but for underscores, which many programs behind a gateway read as
/// dashes (CGI, WSGI and all who turn names into variables).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alias;

/// Which of them a name is, in any case of letters. The length alone answers for most.
pub(super) fn framing(name: &[u8]) -> Option<Result<Framing, Alias>> {
    let (field, plain): (_, &[u8]) = match name.len() {
        4 => (Framing::Host, b"host"),
        7 => (Framing::Upgrade, b"upgrade"),
        14 => (Framing::ContentLength, b"content-length"),
        17 => (Framing::TransferEncoding, b"transfer-encoding"),
        _ => return None,
    };
    if name.eq_ignore_ascii_case(plain) {
        Some(Ok(field))
    } else if is_alias(name, plain) {
        Some(Err(Alias))
    } else {
        None
    }
}

fn is_alias(name: &[u8], plain: &[u8]) -> bool {
    let same = |(own, plain): (&u8, &u8)| {
        own.eq_ignore_ascii_case(plain) || (*own == b'_' && *plain == b'-')
    };
    name.len() == plain.len() && name.iter().zip(plain).all(same)
}

/// Fields that are for the next hop alone (RFC 9110, 7.6.1, and what came before it).
const HOP: &[&str] = &[
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Fields that the gateway, or the end, decides by: never nominated by Connection, never a
/// trailer, never under another spelling.
const GUARDED: &[&str] = &[
    "accept",
    "age",
    "authorization",
    "cache-control",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "retry-after",
    "set-cookie",
    "set-cookie2",
    "tracestate",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-client-cert",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
];

/// Families of the same.
const GUARDED_FAMILIES: &[&str] =
    &["access-control-", "sec-", "x-forwarded-", "x-updraft-", "x-envoy-", "grpc-"];

/// What a trailer may be although the gateway knows it.
const TRAILERS: &[&str] = &["content-digest", "server-timing", "digest", "repr-digest"];

fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|plain| name.eq_ignore_ascii_case(plain.as_bytes()))
}

/// Whether it ends at this hop whatever Connection says.
pub(super) fn is_hop(name: &[u8]) -> bool {
    is_one_of(name, HOP) || has_prefix(name, b"proxy-")
}

/// Whether Connection must not name it, because it is meant for the end.
pub(super) fn is_guarded(name: &[u8]) -> bool {
    is_one_of(name, GUARDED) || GUARDED_FAMILIES.iter().any(|f| has_prefix(name, f.as_bytes()))
}

/// Whether it is a spelling of a guarded field with underscores.
pub(super) fn is_guarded_alias(name: &[u8]) -> bool {
    if memchr::memchr(b'_', name).is_none() {
        return false;
    }
    let prefix = |f: &&str| name.get(..f.len()).is_some_and(|start| is_alias(start, f.as_bytes()));
    let alias = |plain: &&str| is_alias(name, plain.as_bytes());
    GUARDED.iter().any(alias) || HOP.iter().any(alias) || GUARDED_FAMILIES.iter().any(prefix)
}

/// Whether a trailer section that has it is refused: it would frame, route or authorize
/// (RFC 9110, 6.5.1). What is merely not known is taken away later.
pub(super) fn is_forbidden_trailer(name: &[u8]) -> bool {
    let known = is_one_of(name, TRAILERS) || has_prefix(name, b"grpc-");
    !known && (is_hop(name) || is_guarded(name) || is_guarded_alias(name))
}

/// Whether it begins so, in any case of letters.
pub(super) fn has_prefix(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_fields_are_known_in_any_case_and_by_their_aliases() {
        assert_eq!(framing(b"hOsT"), Some(Ok(Framing::Host)));
        assert_eq!(framing(b"Content-Length"), Some(Ok(Framing::ContentLength)));
        assert_eq!(framing(b"Content_Length"), Some(Err(Alias)));
        assert_eq!(framing(b"TRANSFER_ENCODING"), Some(Err(Alias)));
        assert_eq!(framing(b"content-lengti"), None);
    }

    #[test]
    fn aliases_of_guarded_fields_are_found() {
        for name in ["x_forwarded_for", "X-Forwarded_For", "proxy_connection", "x-updraft_caller"] {
            assert!(is_guarded_alias(name.as_bytes()), "{name}");
        }
        for name in ["x-forwarded-for", "my_field", "content-type"] {
            assert!(!is_guarded_alias(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn trailers_of_known_purpose_are_not_forbidden() {
        for name in ["grpc-status", "Content-Digest", "x-checksum", "server-timing"] {
            assert!(!is_forbidden_trailer(name.as_bytes()), "{name}");
        }
        for name in ["Host", "content-length", "Transfer_Encoding", "set-cookie", "x-forwarded-for"]
        {
            assert!(is_forbidden_trailer(name.as_bytes()), "{name}");
        }
    }
}
