//! What may come behind a body. Trailers are read when all has been decided, so they may add
//! what is known only then, and nothing else (RFC 9110, 6.5.1).

use http::HeaderMap;
use http::header::HeaderName;

use super::fields::is_forbidden_trailer;

/// Whose trailers they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Behind a request.
    Request,
    /// Behind an answer.
    Response,
    /// Behind an answer of gRPC, whose trailers are metadata of any name.
    Grpc,
}

const BOTH: &[&str] =
    &["content-digest", "content-md5", "digest", "repr-digest", "signature", "signature-input"];
const FAMILIES: &[&str] = &["grpc-", "x-amz-checksum-", "x-amz-trailer-signature", "x-checksum-"];
const RESPONSE: &[&str] = &["etag", "server-timing", "x-goog-hash"];

/// Leaves what may pass, and says how many fields it took away.
pub(crate) fn trailers(trailers: &mut HeaderMap, side: Side) -> usize {
    let before = trailers.len();
    let doomed: Vec<HeaderName> =
        trailers.keys().filter(|name| !may_pass(name.as_str(), side)).cloned().collect();
    for name in doomed {
        trailers.remove(name);
    }
    before - trailers.len()
}

fn may_pass(name: &str, side: Side) -> bool {
    let known = BOTH.contains(&name)
        || FAMILIES.iter().any(|family| name.starts_with(family))
        || (side != Side::Request && RESPONSE.contains(&name));
    match side {
        Side::Grpc => known || !is_forbidden_trailer(name.as_bytes()),
        Side::Request | Side::Response => known,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_can_be_known_late_passes() {
        let names = [
            "grpc-status",
            "content-digest",
            "server-timing",
            "x-amz-checksum-crc32",
            "x-own",
            "content-length",
            "transfer-encoding",
            "host",
            "authorization",
            "set-cookie",
            "x-forwarded-for",
            "connection",
            "trailer",
        ];
        let all: HeaderMap = names
            .iter()
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")))
            .collect();
        for (side, passed) in [(Side::Request, 3), (Side::Response, 4), (Side::Grpc, 5)] {
            let mut left = all.clone();
            assert_eq!(trailers(&mut left, side), names.len() - passed, "{side:?}");
            let passed: Vec<_> = left.keys().map(HeaderName::as_str).collect();
            assert!(passed.iter().all(|name| names[..5].contains(name)), "{passed:?}");
        }
    }
}
