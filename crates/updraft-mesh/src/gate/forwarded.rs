//! Where a request came from: `X-Forwarded-*`, `Forwarded` (RFC 7239), `Via`, and the
//! identity of the caller. From outside they are overwritten, inside they are appended to.

use bytes::{BufMut, BytesMut};
use http::header::{Entry, FORWARDED, HOST, HeaderName, VIA};
use http::{HeaderMap, HeaderValue, Version};

use super::inbound::{Inbound, Kind};
use super::text::members;
use crate::values;

pub(super) const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
/// The service that calls, as this gateway knows it.
pub(super) const CALLER: HeaderName = HeaderName::from_static("x-updraft-caller");

/// Fields that a gateway adds to a request: those of this file, a trace and a deadline.
const OWN_FIELDS: usize = 10;

/// Whether a sender of this kind has no right to say this field. `Via` is looked at for loops
/// first.
pub(super) fn is_spoof(name: &str, kind: Kind) -> bool {
    let own = name == CLIENT_CERT.as_str() || name == CALLER.as_str();
    match kind {
        Kind::Mesh => own,
        Kind::Edge => super::hop::is_identity(name),
        Kind::Ingress => {
            super::hop::is_identity(name)
                || name.starts_with("x-forwarded-")
                || matches!(name, "forwarded" | "via" | "x-real-ip")
        }
    }
}

/// Whether a message has been at this gateway before (RFC 9110, 7.6.3).
pub(super) fn has_been_here(headers: &HeaderMap, name: &[u8]) -> bool {
    let mut values = headers.get_all(VIA).iter();
    values.any(|value| {
        members(value.as_bytes()).any(|member| {
            let mut words = member.split(|byte| matches!(byte, b' ' | b'\t'));
            let mut words = words.by_ref().filter(|word| !word.is_empty()).skip(1);
            words.next().is_some_and(|by| by.eq_ignore_ascii_case(name))
        })
    })
}

/// Says what this gateway knows. What the sender had no right to say is gone already.
pub(super) fn tell(headers: &mut HeaderMap, inbound: &Inbound, version: Version) {
    // What is written here and before the request is sent, so that the map grows at most once.
    headers.reserve(OWN_FIELDS);
    if let Some(client) = &inbound.client {
        append(headers, FOR, client);
    }
    let host = headers.get(HOST).cloned();
    let proto = if inbound.secure { "https" } else { "http" };
    headers.entry(PROTO).or_insert(HeaderValue::from_static(proto));
    if let Some(host) = &host {
        headers.entry(FORWARDED_HOST).or_insert_with(|| host.clone());
    }
    if let Some(value) = element(&inbound.forwarded, host.as_ref()) {
        append(headers, FORWARDED, &value);
    }
    append(headers, VIA, inbound.pseudonym.via(version));
    if let Some(caller) = &inbound.caller {
        headers.insert(CALLER, caller.clone());
    }
    if let Some(certificate) = &inbound.certificate {
        headers.insert(CLIENT_CERT, certificate.clone());
    }
}

/// One element of `Forwarded`; the host is quoted, for it may have a port.
fn element(start: &HeaderValue, host: Option<&HeaderValue>) -> Option<HeaderValue> {
    let Some(host) = host else { return Some(start.clone()) };
    values::joined(&[start.as_bytes(), b";host=\"", host.as_bytes(), b"\""])
}

/// Makes the value the last member of a list, and the list one line.
pub(super) fn append(headers: &mut HeaderMap, name: HeaderName, member: &HeaderValue) {
    match headers.entry(name) {
        Entry::Vacant(place) => {
            place.insert(member.clone());
        }
        Entry::Occupied(mut list) => {
            let old: usize = list.iter().map(|value| value.len() + 2).sum();
            let mut text = BytesMut::with_capacity(old + member.len());
            for value in list.iter() {
                text.put_slice(value.as_bytes());
                text.put_slice(b", ");
            }
            text.put_slice(member.as_bytes());
            let joined = HeaderValue::from_maybe_shared(text.freeze());
            list.insert(joined.unwrap_or_else(|_| member.clone()));
        }
    }
}
