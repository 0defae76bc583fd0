//! The answer that a test got, and what it says of it.

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fail;

/// How much of a body is shown, in bytes.
const SHOWN: usize = 4096;

/// An answer, whole. What it is not, fails the test and is shown.
#[derive(Clone, Debug)]
pub struct TestAnswer {
    what: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl TestAnswer {
    pub(super) fn new(what: String, parts: Parts, body: Bytes) -> Self {
        Self { what, status: parts.status, headers: parts.headers, body }
    }

    /// Its status.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// The answer, which has this status.
    ///
    /// # Panics
    ///
    /// When it has another.
    #[track_caller]
    pub fn status(self, code: u16) -> Self {
        if self.code() != code {
            fail(format_args!("{self} … is not {code}"));
        }
        self
    }

    /// What the answer is as JSON, which is a success (2xx).
    ///
    /// # Panics
    ///
    /// When it is no success, or no JSON of this type.
    #[track_caller]
    pub fn ok<T: DeserializeOwned>(&self) -> T {
        if !self.status.is_success() {
            fail(format_args!("{self} … is no success"));
        }
        self.json()
    }

    /// What the answer is as JSON, whatever its status.
    ///
    /// # Panics
    ///
    /// When it is no JSON of this type.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => {
                fail(format_args!("{self} … is no {}: {error}", std::any::type_name::<T>()))
            }
        }
    }

    /// The problem that the answer tells of (RFC 9457).
    ///
    /// # Panics
    ///
    /// When it is none, or one of another status than the answer's.
    #[track_caller]
    pub fn problem(&self) -> TestProblem {
        if self.header(header::CONTENT_TYPE.as_str()) != Some("application/problem+json") {
            fail(format_args!("{self} … is no problem"));
        }
        let document: Value = self.json();
        if document.get("status").and_then(Value::as_u64) != Some(self.code().into()) {
            fail(format_args!("{self} … is a problem of another status"));
        }
        TestProblem { document }
    }

    /// The header of this name, the first where there are several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// When it is no text in UTF-8.
    #[track_caller]
    #[must_use]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(error) => fail(format_args!("{self} … is no text: {error}")),
        }
    }

    /// The body as it came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }
}

/// The answer as people read it: what was asked, the status and the body.
impl std::fmt::Display for TestAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let shown = body.get(..body.floor_char_boundary(SHOWN)).unwrap_or_default();
        let more = if shown.len() < body.len() { "…" } else { "" };
        write!(f, "{} → {}\n{shown}{more}\n", self.what, self.status)
    }
}

/// A problem that a service has told of (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestProblem {
    document: Value,
}

impl TestProblem {
    /// The URI reference by which programs know the kind; `about:blank` where it says none.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("type").unwrap_or("about:blank")
    }

    /// What the kind is called.
    #[must_use]
    pub fn title(&self) -> &str {
        self.text("title").unwrap_or_default()
    }

    /// What happened.
    #[must_use]
    pub fn detail(&self) -> &str {
        self.text("detail").unwrap_or_default()
    }

    /// Any member of the document.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.document.get(name)
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.document.get(name)?.as_str()
    }
}
