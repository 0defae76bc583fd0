//! A call, from its words to its answer.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Serialize;
use updraft_resilience::deadline::{self, Deadline};
use updraft_resilience::policy::CallOptions;

use super::address::Tried;
use super::attempt::Prepared;
use super::{CallError, Reply, Untyped, verdict};
use crate::BoxError;

/// By this a service knows that it was asked the same before
/// (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A call that is not sent yet.
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    caller: &'a Untyped,
    method: Method,
    path: String,
    template: &'static str,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
    /// Nobody but the method says whether it may be repeated.
    repeatable: bool,
    /// The first thing that could not be put into words.
    wrong: Option<BoxError>,
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("method", &self.method).finish_non_exhaustive()
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(caller: &'a Untyped, method: Method, path: &str) -> Self {
        let mut headers = HeaderMap::new();
        if let Some((name, id)) = crate::web::request_id() {
            headers.insert(name, id);
        }
        if let Some(authorization) = &caller.authorization {
            headers.insert(http::header::AUTHORIZATION, authorization.clone());
        }
        Self {
            caller,
            repeatable: verdict::is_idempotent(&method),
            method,
            path: path.to_owned(),
            template: "",
            headers,
            body: Bytes::new(),
            timeout: caller.timeout,
            wrong: None,
        }
    }

    /// Sets how long this call may take, from waiting for its turn to the last byte of the last
    /// attempt. The deadline of the request in hand makes it shorter, never longer.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Adds a parameter to the query, encoded as it must be.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        encode(&mut self.path, name);
        self.path.push('=');
        encode(&mut self.path, &value.to_string());
        self
    }

    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if name == IDEMPOTENCY_KEY {
            self.repeatable = true;
        }
        self.headers.insert(name, value);
        self
    }

    /// Sets a header to a text. A text that cannot be in a header fails the call.
    pub fn header_text(mut self, name: HeaderName, value: impl Display) -> Self {
        match HeaderValue::try_from(value.to_string()) {
            Ok(value) => self.header(name, value),
            Err(error) => {
                self.wrong.get_or_insert(error.into());
                self
            }
        }
    }

    /// Says that the service keeps `Idempotency-Key`s, so that even a `POST` or `PATCH` may be
    /// repeated: all attempts of the call have the same key, a new UUID unless
    /// [`idempotency_key`](Self::idempotency_key) gave one.
    ///
    /// A service that does not know the header does the work twice, so it is not assumed. A
    /// client of a contract does this by itself where the contract has the header.
    pub fn idempotent(mut self) -> Self {
        self.repeatable = true;
        if !verdict::is_idempotent(&self.method) && !self.headers.contains_key(IDEMPOTENCY_KEY) {
            return self.header_text(IDEMPOTENCY_KEY, uuid::Uuid::now_v7());
        }
        self
    }

    /// Sets the key by which the service knows that it was asked the same before, such as that
    /// of a job: the call may be repeated.
    pub fn idempotency_key(self, key: impl Display) -> Self {
        self.header_text(IDEMPOTENCY_KEY, key)
    }

    /// The template of the path, such as `/orders/{id}`, by which metrics tell calls apart.
    pub fn template(self, template: &'static str) -> Self {
        Self { template, ..self }
    }

    /// Sends `value` as JSON.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body(HeaderValue::from_static("application/json"), body),
            Err(error) => {
                self.wrong.get_or_insert(error.into());
                self
            }
        }
    }

    /// Sends these bytes of this media type.
    pub fn body(self, media_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self.header(header::CONTENT_TYPE, media_type) }
    }

    /// Makes the call. An answer is a [`Reply`] whatever its status.
    ///
    /// # Errors
    ///
    /// [`CallError`] when there is no whole answer in time.
    pub async fn send(self) -> Result<Reply, CallError> {
        let Self { caller, timeout, repeatable, .. } = self;
        let call = self.prepared()?;
        let shared = &*caller.shared;
        let options = match shared.hedges && !repeatable {
            true => CallOptions::new().once(),
            false => CallOptions::new(),
        };
        let tried = Tried::default();
        let attempts = shared.policy.call_with(options, |_attempt| shared.attempt(&call, &tried));
        let until = Deadline::after(shared.clock.now(), timeout);
        let outcome = deadline::with(until, attempts).await;
        outcome.map(|answer| answer.reply).map_err(|error| CallError::of(error, timeout))
    }

    fn prepared(self) -> Result<Prepared, CallError> {
        if let Some(error) = self.wrong {
            return Err(CallError::Invalid(error));
        }
        if !self.path.starts_with('/') {
            return Err(CallError::Invalid("a path begins with a slash".into()));
        }
        // A call that is given up sooner must not leave a silent address unknown.
        let patience = self.caller.shared.attempt_timeout.min(self.timeout / 2);
        let Self { method, headers, body, repeatable, template, path, .. } = self;
        let path = PathAndQuery::try_from(path);
        let path = path.map_err(|error| CallError::Invalid(error.into()))?;
        Ok(Prepared { method, path, headers, body, repeatable, patience, template })
    }
}

/// Appends a text so that it means itself in a path or query (RFC 3986 §2).
fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            // Writing into a String cannot fail.
            other => drop(write!(out, "%{other:02X}")),
        }
    }
}

/// A value as one segment of a path.
#[doc(hidden)]
pub fn segment(value: impl Display) -> String {
    let (mut out, text) = (String::new(), value.to_string());
    match &*text {
        // These would change the path (RFC 3986 §5.2.4), encoded or not.
        "." => "%2E".clone_into(&mut out),
        ".." => "%2E%2E".clone_into(&mut out),
        other => encode(&mut out, other),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_stays_one_segment() {
        for (value, expected) in [
            ("KITE", "KITE"),
            ("a/b", "a%2Fb"),
            ("a b?c#d", "a%20b%3Fc%23d"),
            ("50 %", "50%20%25"),
            ("ä", "%C3%A4"),
            ("..", "%2E%2E"),
            ("a\r\nX: y", "a%0D%0AX%3A%20y"),
        ] {
            assert_eq!(segment(value), expected);
        }
        assert_eq!(segment(7), "7");
    }
}
