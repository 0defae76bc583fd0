//! What an endpoint's answer may say.

use http::header::{
    CONTENT_LENGTH, HeaderName, SEC_WEBSOCKET_ACCEPT, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::forwarded;
use super::hop::{self, Survey};
use super::inbound::{Inbound, Kind};
use super::problem::Refusal;
use super::request::{Asked, keep_upgrade};
use super::rule::Rule;

/// Checks an answer and makes it ready for the caller. Whether the connection is closed after
/// it is not decided here.
///
/// # Errors
///
/// [`Refusal`] with 502: the answer is not to be used, nor is the connection it came from.
pub(crate) fn response(parts: &mut Parts, asked: Asked, inbound: &Inbound) -> Result<(), Refusal> {
    let status = parts.status;
    let headers = &mut parts.headers;
    framing(status, headers)?;
    let survey = hop::survey(headers, |name| is_internal(name, inbound.kind));
    let survey = survey.ok().ok_or(Rule::ResponseConnection)?;
    let switched = status == StatusCode::SWITCHING_PROTOCOLS;
    if switched && !(asked.upgrade && is_handshake(headers, &survey)) {
        return Err(Rule::UnaskedUpgrade.into());
    }
    hop::remove(headers, &survey.doomed);
    if switched {
        keep_upgrade(headers);
    }
    if status == StatusCode::NO_CONTENT {
        // Many say `0`, which RFC 9110, 8.6 forbids and which is harmless.
        headers.remove(CONTENT_LENGTH);
    }
    forwarded::append(headers, VIA, inbound.pseudonym.via(parts.version));
    Ok(())
}

/// Fields between gateways, which nobody outside is told.
fn is_internal(name: &str, kind: Kind) -> bool {
    kind == Kind::Ingress && hop::is_identity(name)
}

fn framing(status: StatusCode, headers: &HeaderMap) -> Result<(), Refusal> {
    let once = |name: HeaderName| {
        let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let first = values.next();
        values.next().is_none().then_some(first).ok_or(Rule::ResponseFraming)
    };
    let length = once(CONTENT_LENGTH)?;
    let encoding = once(TRANSFER_ENCODING)?;
    let number = length.is_none_or(|text| !text.is_empty() && text.iter().all(u8::is_ascii_digit));
    let chunked = encoding.is_none_or(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    let both = length.is_some() && encoding.is_some();
    let empty = matches!(length, None | Some(b"0")) && encoding.is_none();
    let interim = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
    let bodiless = matches!(status.as_u16(), 101 | 204 | 205);
    if !number || !chunked || both || interim || (bodiless && !empty) {
        return Err(Rule::ResponseFraming.into());
    }
    Ok(())
}

fn is_handshake(headers: &HeaderMap, survey: &Survey) -> bool {
    let mut upgrades = headers.get_all(UPGRADE).iter();
    let websocket =
        upgrades.next().is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let accepts = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter().count() == 1;
    survey.upgrade && websocket && upgrades.next().is_none() && accepts
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
