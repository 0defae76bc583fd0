//! The form that a request has on its way to an endpoint: HTTP/1 has its host in a field and
//! a path as target, HTTP/2 has both in its target.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version, header, uri};
use updraft_resilience::deadline::header as deadline_header;
use updraft_system::mesh::Protocol;

use crate::{pool, values};

pub(super) static EXPECTED_TIMEOUT: HeaderName =
    HeaderName::from_static(deadline_header::EXPECTED_TIMEOUT_MS);
pub(super) static GRPC_TIMEOUT: HeaderName = HeaderName::from_static(deadline_header::GRPC_TIMEOUT);

/// Gives `request` target, host and version for what its connection speaks.
pub(super) fn aim<B>(request: &mut Request<B>, head: &Parts, spoken: pool::Protocol) {
    match spoken {
        pool::Protocol::Http1 => {
            *request.version_mut() = Version::HTTP_11;
            if !request.headers().contains_key(header::HOST)
                && let Some(host) = head.uri.authority().and_then(|it| host_of(it.as_str()))
            {
                request.headers_mut().insert(header::HOST, host);
            }
            *request.uri_mut() = match head.uri.path_and_query() {
                Some(target) => Uri::from(target.clone()),
                None => Uri::from_static("/"),
            };
        }
        pool::Protocol::Http2 => {
            *request.version_mut() = Version::HTTP_2;
            let host = request.headers_mut().remove(header::HOST);
            let authority = head
                .uri
                .authority()
                .cloned()
                .or_else(|| uri::Authority::try_from(host.as_ref()?.as_bytes()).ok());
            let mut parts = uri::Parts::default();
            parts.scheme = Some(uri::Scheme::HTTP);
            parts.authority = authority.or_else(|| Some(uri::Authority::from_static("localhost")));
            parts.path_and_query = head
                .uri
                .path_and_query()
                .cloned()
                .or_else(|| Some(uri::PathAndQuery::from_static("/")));
            // All three are there, which is what an address needs.
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
}

/// The fields of a request that is aimed at another target now.
pub(super) fn fields<B>(request: Request<B>) -> HeaderMap {
    let (mut head, _) = request.into_parts();
    if !head.headers.contains_key(header::HOST)
        && let Some(host) = head.uri.authority().and_then(|it| host_of(it.as_str()))
    {
        head.headers.insert(header::HOST, host);
    }
    head.headers
}

/// Tells the endpoint how much time is left.
pub(super) fn announce(headers: &mut HeaderMap, left: Duration, protocol: Protocol) {
    if protocol == Protocol::Grpc {
        let text = deadline_header::format_grpc_timeout(left);
        if let Some(value) = values::joined(&[text.as_bytes()]) {
            headers.insert(GRPC_TIMEOUT.clone(), value);
        }
        return;
    }
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    let mut digits = [0; DIGITS];
    if let Some(value) = values::joined(&[decimal(millis, &mut digits)]) {
        headers.insert(EXPECTED_TIMEOUT.clone(), value);
    }
}

/// Of the largest number of 64 bits.
const DIGITS: usize = 20;

fn decimal(mut number: u64, digits: &mut [u8; DIGITS]) -> &[u8] {
    let mut at = DIGITS;
    loop {
        at -= 1;
        digits[at] = b"0123456789"[(number % 10) as usize];
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

fn host_of(authority: &str) -> Option<HeaderValue> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    HeaderValue::from_str(host).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_comes_back_has_the_host_that_it_went_with() {
        let (head, ()) = Request::get("/quotes?x=1").body(()).unwrap().into_parts();
        for spoken in [pool::Protocol::Http1, pool::Protocol::Http2] {
            let mut request = Request::new(());
            request.headers_mut().insert(header::HOST, HeaderValue::from_static("origin:80"));
            let before = request.headers().clone();
            aim(&mut request, &head, spoken);
            assert_eq!(fields(request), before, "{spoken:?}");
        }
    }

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 7, 10, 29_996, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; DIGITS]), number.to_string().as_bytes());
        }
    }
}
