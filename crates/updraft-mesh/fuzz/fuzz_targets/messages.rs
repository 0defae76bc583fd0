//! The gate behind hyper's parser: what passes has nothing left that is for the hop, names who is
//! asked and who asks, and passes the next gateway as it is.

#![no_main]

use http::header::{HOST, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use libfuzzer_sys::fuzz_target;
use updraft_mesh::fuzzing::{self, Sender};
use updraft_mesh_fuzz::{requests, sow};

/// What a gateway adds to at each hop.
const TOLD: [&str; 6] = [
    "forwarded",
    "max-forwards",
    "via",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-updraft-caller",
];

fuzz_target!(
    init: sow(requests().into_iter().enumerate().map(|(number, raw)| {
        let number = u8::try_from(number % 256).unwrap_or_default();
        [&[number, number.rotate_left(3), 200][..], &raw].concat()
    })),
    |data: &[u8]| {
        let Some(([way, asked, status], text)) = data.split_first_chunk() else { return };
        let sender = [Sender::Outside, Sender::Beside, Sender::Gateway][usize::from(way % 3)];
        let version = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2][usize::from(way / 3 % 3)];
        let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
        let first = lines.next().unwrap_or_default();
        let headers = fields(lines);
        match way / 9 % 3 {
            0 => request(first, headers, sender, version),
            1 => {
                let status = u16::from(*status) + 100 * u16::from(asked >> 2 & 3);
                response(status, headers, (asked & 1 == 1, asked & 2 == 2), sender, version);
            }
            _ => trailers(headers, [None, Some(false), Some(true)][usize::from(asked % 3)]),
        }
    }
);

fn fields<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(parts.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn request(first: &[u8], headers: HeaderMap, sender: Sender, version: Version) {
    let mut words = first.split(|byte| *byte == b' ');
    let Ok(method) = Method::from_bytes(words.next().unwrap_or_default()) else { return };
    let Ok(uri) = Uri::try_from(words.next().unwrap_or_default()) else { return };
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    *request.headers_mut() = headers;
    let (mut parts, ()) = request.into_parts();
    let before = parts.headers.clone();
    let Ok(asked) = fuzzing::request(&mut parts, sender, "one.updraft") else { return };

    hop_is_gone(&before, &parts.headers, asked.1);
    let path = parts.uri.path();
    assert!(path.starts_with('/') || (path == "*" && parts.method == Method::OPTIONS), "{path}");
    assert!(parts.uri.scheme().is_none() && parts.uri.authority().is_none());
    assert_eq!(fuzzing::check_path(path.as_bytes()), Ok(()));
    assert_eq!(parts.headers.get_all(HOST).iter().count(), 1);
    assert!(!parts.headers.contains_key("expect"));
    nobody_is_impersonated(&parts.headers, sender);
    no_field_has_a_twin(&parts.headers);

    let mut again = parts.clone();
    assert_eq!(fuzzing::request(&mut again, Sender::Gateway, "one.updraft"), Err("loop"));
    let mut next = parts.clone();
    match fuzzing::request(&mut next, Sender::Gateway, "two.updraft") {
        Err("loop") => {
            let via = format!("{:?}", before.get_all(VIA).iter().collect::<Vec<_>>());
            assert!(via.to_ascii_lowercase().contains("two.updraft"), "{via}");
        }
        Err(rule) => {
            assert_eq!((rule, &parts.method), ("max_forwards_reached", &Method::OPTIONS));
        }
        Ok(asked_again) => {
            assert_eq!((asked_again, &next.uri), (asked, &parts.uri));
            assert_eq!(without_what_is_told(&next.headers), without_what_is_told(&parts.headers));
            assert_eq!(parts.headers.get_all(VIA).iter().count(), 1);
        }
    }
}

fn response(
    status: u16,
    headers: HeaderMap,
    asked: (bool, bool),
    sender: Sender,
    version: Version,
) {
    let Ok(status) = StatusCode::from_u16(status) else { return };
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    let (mut parts, ()) = response.into_parts();
    let before = parts.headers.clone();
    if fuzzing::response(&mut parts, asked, sender, "one.updraft").is_err() {
        return;
    }
    let switched = status == StatusCode::SWITCHING_PROTOCOLS;
    assert!(!switched || asked.1);
    hop_is_gone(&before, &parts.headers, switched);
    let lengths: Vec<_> = parts.headers.get_all("content-length").iter().collect();
    assert!(lengths.len() <= 1, "{lengths:?}");
    assert!(lengths.is_empty() || status != StatusCode::NO_CONTENT);
    if sender == Sender::Outside {
        let internal = parts.headers.keys().find(|name| name.as_str().starts_with("x-updraft-"));
        assert_eq!(internal, None);
    }
    let mut again = parts.clone();
    assert_eq!(fuzzing::response(&mut again, asked, sender, "two.updraft"), Ok(()));
    assert_eq!(without_what_is_told(&again.headers), without_what_is_told(&parts.headers));
}

fn trailers(mut headers: HeaderMap, answer: Option<bool>) {
    let before = headers.len();
    let gone = fuzzing::trailers(&mut headers, answer);
    assert_eq!(headers.len() + gone, before);
    for name in [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "proxy-authorization",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-updraft-caller",
    ] {
        assert!(!headers.contains_key(name), "{name}");
    }
    let after = headers.clone();
    assert_eq!(fuzzing::trailers(&mut headers, answer), 0);
    assert_eq!(headers, after);
}

/// RFC 9110, 7.6.1, read once more.
fn hop_is_gone(before: &HeaderMap, after: &HeaderMap, upgrade: bool) {
    for name in ["keep-alive", "transfer-encoding", "http2-settings"] {
        assert!(!after.contains_key(name), "{name}");
    }
    assert!(!after.keys().any(|name| name.as_str().starts_with("proxy-")), "{after:?}");
    for (name, value) in [("connection", "upgrade"), ("upgrade", "websocket")] {
        let values: Vec<_> = after.get_all(name).iter().collect();
        let wanted: &[&str] = if upgrade { &[value] } else { &[] };
        assert_eq!(values, wanted);
    }
    assert!(after.get_all("te").iter().all(|value| value == "trailers"), "{after:?}");
    for value in before.get_all("connection") {
        for name in value.as_bytes().split(|byte| *byte == b',') {
            let Ok(name) = HeaderName::from_bytes(name.trim_ascii()) else { continue };
            let own = ["close", "upgrade", "te"].contains(&name.as_str());
            assert!(own || !after.contains_key(&name), "{name} was for the hop");
        }
    }
}

/// Many programs read underscores as dashes.
fn no_field_has_a_twin(headers: &HeaderMap) {
    for name in headers.keys() {
        let read = name.as_str().replace('_', "-");
        let decides = ["host", "content-length", "transfer-encoding", "connection", "authorization"];
        let alias = read != name.as_str();
        let decides = decides.contains(&&*read)
            || read.starts_with("x-forwarded-")
            || read.starts_with("x-updraft-");
        assert!(!(alias && decides), "{name}");
    }
}

fn nobody_is_impersonated(headers: &HeaderMap, sender: Sender) {
    let values = |name: &str| headers.get_all(name).iter().collect::<Vec<_>>();
    let (caller, certificate): (&[&str], &[&str]) = match sender {
        Sender::Outside => (&[], &[]),
        Sender::Beside => (&["cart"], &[]),
        Sender::Gateway => (&["cart"], &["URI=spiffe://shop/cart"]),
    };
    assert_eq!(values("x-updraft-caller"), caller);
    assert_eq!(values("x-forwarded-client-cert"), certificate);
    if sender == Sender::Outside {
        assert_eq!(values("x-forwarded-for"), ["192.0.2.7"]);
        assert_eq!(values("x-forwarded-proto"), ["http"]);
        assert!(values("x-real-ip").is_empty());
        assert_eq!(values("forwarded").len(), 1);
        assert_eq!(values("via").len(), 1);
    }
}

fn without_what_is_told(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in TOLD {
        headers.remove(name);
    }
    headers
}
