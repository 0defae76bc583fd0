//! Keys as they come, and what a request is known by.

use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode, header};

use super::IdempotencyKey;
use crate::Declaration;
use crate::auth::Caller;
use crate::http::Peer;
use crate::problem::{ProblemDetails, ProblemKind};

/// The header of the key.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key in bytes.
pub(crate) const KEY_MOST: usize = 255;

/// What a request is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Of operation, caller and key: 64 hexadecimal digits.
    pub(super) id: String,
    /// Of the request itself: the same key with another request is a mistake.
    pub(super) fingerprint: String,
}

/// The key of a request; `None` where none was sent and none is needed.
///
/// # Errors
///
/// 400 when it is missing, or is no key.
pub(crate) fn key_of(
    headers: &HeaderMap,
    wanted: IdempotencyKey,
) -> Result<Option<String>, ProblemDetails> {
    let wrong =
        |detail: &'static str| Err(ProblemDetails::of(&ProblemKind::MALFORMED).detail(detail));
    let mut all = headers.get_all(HEADER).iter();
    let Some(value) = all.next() else {
        return match wanted {
            IdempotencyKey::Optional => Ok(None),
            IdempotencyKey::Required => wrong(
                "this operation needs the header Idempotency-Key: the same text for every try \
                 of one request, such as a UUID in double quotes",
            ),
        };
    };
    if all.next().is_some() {
        return wrong("the header Idempotency-Key is there more than once");
    }
    let key = value.to_str().ok().and_then(|text| read(text.trim_matches([' ', '\t'])));
    match key.filter(|key| (1..=KEY_MOST).contains(&key.len())) {
        Some(key) => Ok(Some(key)),
        None => wrong(
            "the header Idempotency-Key must be 1 to 255 characters of ASCII in double quotes \
             (a String of RFC 9651), such as a UUID",
        ),
    }
}

/// A key as the draft has it (a `String` of RFC 9651, whose parameters mean nothing), or bare,
/// as many clients send it.
fn read(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let sound = |byte: u8| byte.is_ascii_graphic() && !br#""\,;"#.contains(&byte);
        return text.bytes().all(sound).then(|| text.to_owned());
    };
    let mut key = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => key.push(characters.next().filter(|it| matches!(it, '"' | '\\'))?),
            character @ ' '..='~' => key.push(character),
            _ => return None,
        }
    }
    let rest = characters.as_str();
    let sound = rest.is_empty() || rest.starts_with(';');
    (sound && rest.bytes().all(|byte| (b' '..=b'~').contains(&byte))).then_some(key)
}

impl Known {
    /// Of a request whose caller has been told, and its whole body.
    pub(super) fn of(key: &str, operation: &Declaration, parts: &Parts, body: &[u8]) -> Self {
        let mut id = blake3::Hasher::new();
        // The version is of the request: a key that comes to another one is a mistake.
        add(&mut id, operation.method.as_str().as_bytes());
        add(&mut id, operation.path.as_bytes());
        add_caller(&mut id, parts);
        add(&mut id, key.as_bytes());

        let mut fingerprint = blake3::Hasher::new();
        let target = parts.uri.path_and_query().map_or("", |it| it.as_str());
        let media = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |it| it.as_bytes());
        for part in [parts.method.as_str().as_bytes(), target.as_bytes(), media, body] {
            add(&mut fingerprint, part);
        }
        Self {
            id: id.finalize().to_hex().to_string(),
            fingerprint: fingerprint.finalize().to_hex().to_string(),
        }
    }
}

/// Whose key it is: nobody learns by a key of his own what another one was answered. It is the
/// subject of the token, else the names in the certificate of the client, else nobody.
fn add_caller(hasher: &mut blake3::Hasher, parts: &Parts) {
    let peer = parts.extensions.get::<Peer>().and_then(Peer::identity);
    if let Some(caller) = parts.extensions.get::<Caller>() {
        for part in ["token", caller.issuer().unwrap_or_default(), caller.subject()] {
            add(hasher, part.as_bytes());
        }
    } else if let Some(identity) = peer {
        add(hasher, b"certificate");
        for names in [&identity.uris, &identity.dns_names] {
            add(hasher, &length(names.len()));
            names.iter().for_each(|name| add(hasher, name.as_bytes()));
        }
    } else {
        add(hasher, b"nobody");
    }
}

/// With its length before it, so that no two lists of parts are the same bytes.
fn add(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&length(part.len())).update(part);
}

fn length(of: usize) -> [u8; 8] {
    u64::try_from(of).unwrap_or(u64::MAX).to_le_bytes()
}

/// The request is being answered.
pub(super) fn in_progress() -> ProblemDetails {
    ProblemDetails::of(&ProblemKind::IN_PROGRESS)
        .detail("a request with this Idempotency-Key is being answered")
        .retry_after(1)
}

/// The key was used for something else.
pub(super) fn reused() -> ProblemDetails {
    ProblemDetails::of(&ProblemKind::INVALID)
        .detail("this Idempotency-Key was sent before with another request")
}

/// The answer was too long to be kept.
pub(super) fn too_long() -> ProblemDetails {
    ProblemDetails::new(StatusCode::CONFLICT)
        .detail("this request was answered before, and its answer was too long to be kept")
}

/// The keys cannot be looked up.
pub(super) fn unavailable() -> ProblemDetails {
    ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE)
        .detail("whether this request was answered before cannot be told now")
        .retry_after(1)
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
