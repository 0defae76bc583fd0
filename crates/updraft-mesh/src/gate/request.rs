//! What a request may say, after hyper has read it, in HTTP/1 and HTTP/2 alike.

use bytes::{BufMut, BytesMut};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderName,
    MAX_FORWARDS, ORIGIN, RANGE, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
    UPGRADE, USER_AGENT,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri, Version};

use super::authority;
use super::forwarded;
use super::hop;
use super::inbound::Inbound;
use super::path;
use super::problem::Refusal;
use super::rule::Rule;
use super::text::{is_path, is_query};

/// What an answer must fit to.
#[must_use]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The method is HEAD.
    pub(crate) head: bool,
    /// The request asks for WebSocket and may get it: its Connection and Upgrade are kept.
    pub(crate) upgrade: bool,
}

/// The value of Allow in a 405.
pub(super) const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY";

/// The IANA registry of methods, without CONNECT and TRACE, which make a gateway do what it
/// should not, PRI, which is none, and `*`.
const METHODS: &[&str] = &[
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Fields of one value (`Host` is looked at before). Two of them mean one thing to one
/// program and another to the next.
const SINGLETONS: [HeaderName; 9] = [
    AUTHORIZATION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    MAX_FORWARDS,
    ORIGIN,
    RANGE,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    USER_AGENT,
];

/// The same, of names that `http` has no constant for.
const OWN_SINGLETONS: [&str; 4] = ["content-range", "grpc-timeout", "traceparent", "x-request-id"];

/// Checks a request and makes it ready for the next hop: its URI is a path with a query or
/// `*`, its Host says who is asked, and what is for this hop alone is gone. `TE: trailers`
/// stays, and so do Connection and Upgrade of a WebSocket handshake that may pass. `Expect`
/// goes, for hyper itself says 100 once the body is read.
///
/// # Errors
///
/// [`Refusal`] of the first rule that is broken; the request is not to be used then.
pub(crate) fn request(parts: &mut Parts, inbound: &Inbound) -> Result<Asked, Refusal> {
    method(&parts.method, inbound)?;
    authority(parts, inbound)?;
    target(&parts.uri, &parts.method)?;
    let headers = &mut parts.headers;
    duplicates(headers, parts.version)?;
    if parts.version == Version::HTTP_2 && headers.contains_key(CONNECTION) {
        return Err(Rule::InvalidConnection.into());
    }
    if forwarded::has_been_here(headers, inbound.pseudonym.name()) {
        return Err(Rule::Loop.into());
    }
    let survey = hop::survey(headers, |name| forwarded::is_spoof(name, inbound.kind))?;
    if survey.alias {
        return Err(Rule::UnderscoreAlias.into());
    }
    let asks = survey.upgrade && inbound.allows_upgrade && parts.version == Version::HTTP_11;
    let upgrade = asks && is_websocket(headers.get(UPGRADE));
    if upgrade {
        handshake(&parts.method, headers)?;
    }
    expect(headers)?;
    max_forwards(&parts.method, headers)?;
    hop::remove(headers, &survey.doomed);
    if upgrade {
        keep_upgrade(headers);
    }
    if parts.version == Version::HTTP_2 {
        join_cookies(headers);
    }
    forwarded::tell(headers, inbound, parts.version);
    Ok(Asked { head: parts.method == Method::HEAD, upgrade })
}

fn method(method: &Method, inbound: &Inbound) -> Result<(), Refusal> {
    let name = method.as_str();
    let common = matches!(*method, Method::GET | Method::POST | Method::PUT | Method::DELETE);
    if common || METHODS.contains(&name) || inbound.methods.iter().any(|own| own == name) {
        return Ok(());
    }
    Err(if *method == Method::CONNECT { Rule::Connect } else { Rule::MethodNotAllowed }.into())
}

fn authority(parts: &mut Parts, inbound: &Inbound) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Rule::DuplicateHost.into());
    }
    if let Some(host) = host
        && !authority::is_valid(host.as_bytes())
    {
        return Err(Rule::InvalidHost.into());
    }
    let Some(own) = parts.uri.authority() else {
        return match host {
            Some(_) => Ok(()),
            None if parts.version == Version::HTTP_10 => {
                parts.headers.insert(HOST, inbound.default_host.clone());
                Ok(())
            }
            None => Err(Rule::MissingHost.into()),
        };
    };
    let own = own.as_str();
    if !authority::is_valid(own.as_bytes()) {
        return Err(Rule::InvalidHost.into());
    }
    match host {
        Some(host) if authority::is_same(host.as_bytes(), own.as_bytes(), inbound.secure) => {}
        Some(_) => return Err(Rule::HostMismatch.into()),
        None => {
            let value = HeaderValue::from_str(own).ok().ok_or(Rule::InvalidHost)?;
            parts.headers.insert(HOST, value);
        }
    }
    parts.uri = match parts.uri.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::default(),
    };
    Ok(())
}

fn target(uri: &Uri, method: &Method) -> Result<(), Refusal> {
    let path = uri.path();
    if path == "*" && *method != Method::OPTIONS {
        return Err(Rule::InvalidTarget.into());
    }
    let query = uri.query().unwrap_or_default();
    // A backslash has its own rule.
    let allowed = is_path(path.as_bytes()) || path.contains('\\');
    if !allowed || !is_query(query.as_bytes()) {
        return Err(Rule::InvalidTarget.into());
    }
    path::check(path.as_bytes()).map_err(|rule| Refusal::detailed(rule, path_detail(rule)))
}

/// What to send instead.
fn path_detail(rule: Rule) -> &'static str {
    match rule {
        Rule::DotSegment => "The path has a `.` or `..` segment, maybe encoded; send it resolved",
        Rule::EncodedSlash => {
            "The path has a backslash, or `%2F` or `%5C`; put such text into the query"
        }
        _ => "",
    }
}

fn duplicates(headers: &HeaderMap, version: Version) -> Result<(), Refusal> {
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    let twice = |name: &HeaderName| headers.get_all(name).iter().nth(1).is_some();
    let own = |name: &&str| headers.get_all(*name).iter().nth(1).is_some();
    // HTTP/2 takes cookies apart for its compression (RFC 9113, 8.2.3).
    let cookie = version != Version::HTTP_2 && twice(&COOKIE);
    if let Some(name) = SINGLETONS.iter().find(|name| twice(name)) {
        return Err(Refusal::detailed(Rule::DuplicateField, format!("`{name}` stands twice")));
    }
    if cookie || OWN_SINGLETONS.iter().any(own) {
        return Err(Rule::DuplicateField.into());
    }
    Ok(())
}

fn is_websocket(upgrade: Option<&HeaderValue>) -> bool {
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// RFC 6455, 4.2.1. A handshake that the endpoint is bound to refuse is refused here: what
/// follows it would be taken for frames by one side and for requests by the other.
fn handshake(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let field = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    let empty = !headers.contains_key(TRANSFER_ENCODING)
        && matches!(field(CONTENT_LENGTH), None | Some(b"0"));
    let version = field(SEC_WEBSOCKET_VERSION) == Some(b"13");
    let key = field(SEC_WEBSOCKET_KEY).is_some_and(|key| {
        let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(base64)
    });
    let once = headers.get_all(UPGRADE).iter().nth(1).is_none();
    if *method == Method::GET && empty && version && key && once {
        return Ok(());
    }
    Err(Rule::InvalidUpgrade.into())
}

pub(super) fn keep_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

fn expect(headers: &mut HeaderMap) -> Result<(), Refusal> {
    let met = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    match headers.get(EXPECT) {
        None => Ok(()),
        Some(_) if headers.get_all(EXPECT).iter().all(met) => {
            headers.remove(EXPECT);
            Ok(())
        }
        Some(_) => Err(Rule::UnknownExpectation.into()),
    }
}

/// RFC 9110, 7.6.2; of the methods that it is for, TRACE never comes here.
fn max_forwards(method: &Method, headers: &mut HeaderMap) -> Result<(), Refusal> {
    if *method != Method::OPTIONS {
        return Ok(());
    }
    let Some(value) = headers.get(MAX_FORWARDS) else { return Ok(()) };
    let text = value.as_bytes();
    let digits = !text.is_empty() && text.len() <= 9 && text.iter().all(u8::is_ascii_digit);
    let number = if digits { value.to_str().ok().and_then(|text| text.parse().ok()) } else { None };
    let number: u32 = number.ok_or(Rule::InvalidMaxForwards)?;
    let left = number.checked_sub(1).ok_or(Rule::MaxForwardsReached)?;
    headers.insert(MAX_FORWARDS, HeaderValue::from(left));
    Ok(())
}

fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let mut text = BytesMut::new();
    for value in headers.get_all(COOKIE) {
        if !text.is_empty() {
            text.put_slice(b"; ");
        }
        text.put_slice(value.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_maybe_shared(text.freeze()) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
