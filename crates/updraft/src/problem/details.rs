//! The document of RFC 9457.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Fault, Problem as _, ProblemKind};
use crate::BoxError;

/// The media type of a problem document.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A failed request, told to its caller: the document of RFC 9457.
///
/// ```
/// use updraft::ProblemDetails;
/// use updraft::http::StatusCode;
///
/// let problem = ProblemDetails::new(StatusCode::CONFLICT)
///     .detail("an invoice with this number exists")
///     .member("number", "A-7");
/// ```
///
/// As the error of a handler it makes `?` right for every error: faults of the service are
/// logged, and the caller gets a bare 500. Where the contract should say what can go wrong,
/// derive [`Problem`](crate::Problem) instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemDetails {
    status: StatusCode,
    uri: Option<Cow<'static, str>>,
    title: Option<Cow<'static, str>>,
    detail: Option<Cow<'static, str>>,
    retry_after_s: Option<u32>,
    // Few problems have any, and a small error keeps every `Result` small.
    more: Option<Box<More>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct More {
    members: Vec<(Cow<'static, str>, Value)>,
    headers: HeaderMap,
}

impl ProblemDetails {
    /// A problem of this status; its title is the status's own reason.
    pub fn new(status: StatusCode) -> Self {
        Self { status, uri: None, title: None, detail: None, retry_after_s: None, more: None }
    }

    /// A problem of this kind.
    pub fn of(kind: &'static ProblemKind) -> Self {
        let status = StatusCode::from_u16(kind.status);
        let problem = Self::new(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        Self { uri: kind.uri.map(Cow::Borrowed), ..problem }.title(kind.title)
    }

    /// The URI reference by which programs know problems of this kind.
    #[must_use]
    pub fn kind(self, uri: impl Into<Cow<'static, str>>) -> Self {
        Self { uri: Some(uri.into()), ..self }
    }

    /// What problems of this kind are called; it does not change from one to the next.
    #[must_use]
    pub fn title(self, title: impl Into<Cow<'static, str>>) -> Self {
        Self { title: Some(title.into()), ..self }
    }

    /// Says what is wrong with this request, and what would be right.
    #[must_use]
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Tells the caller after how many seconds to try again.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// One more member of the document. What cannot be JSON is logged and left out.
    #[must_use]
    pub fn member(mut self, name: impl Into<Cow<'static, str>>, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => self.more().members.push((name.into(), value)),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "a member of a problem cannot be written as JSON");
            }
        }
        self
    }

    /// One more header of the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more().headers.append(name, value);
        self
    }

    /// A fault of this service: it is logged here with its whole chain, and the caller
    /// learns nothing but that it happened.
    pub fn internal(error: impl Into<BoxError>) -> Self {
        let error = error.into();
        tracing::error!(error = &*error as &dyn std::error::Error, "the request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The error behind this problem, for the log alone: as an error when the service is at
    /// fault, else for who looks closely.
    #[must_use]
    pub fn caused_by(self, cause: impl Fault) -> Self {
        let cause = cause.into_error();
        let error = cause.get() as &dyn std::error::Error;
        if self.status.is_server_error() {
            tracing::error!(error, "the request failed");
        } else {
            tracing::debug!(error, "the request was refused");
        }
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The `type` by which programs know problems of this kind; `None` is `about:blank`.
    pub fn uri(&self) -> Option<&str> {
        self.uri.as_deref()
    }

    /// The `detail`: what is wrong with this request.
    pub fn explanation(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// A member of the document beyond those that all problems have.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut members = self.more.iter().flat_map(|more| &more.members);
        members.find(|(own, _)| own == name).map(|(_, value)| value)
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    fn title_or_reason(&self) -> &str {
        match &self.title {
            Some(title) => title,
            None => self.status.canonical_reason().unwrap_or("Unknown"),
        }
    }
}

/// The document.
impl Serialize for ProblemDetails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(uri) = &self.uri {
            map.serialize_entry("type", uri)?;
        }
        map.serialize_entry("title", self.title_or_reason())?;
        map.serialize_entry("status", &self.status.as_u16())?;
        if let Some(detail) = &self.detail {
            map.serialize_entry("detail", detail)?;
        }
        for (name, value) in self.more.iter().flat_map(|more| &more.members) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<E: Fault> From<E> for ProblemDetails {
    /// So that `?` in a handler is right for faults of the service itself.
    fn from(error: E) -> Self {
        error.into_error().into_details()
    }
}

impl IntoResponse for ProblemDetails {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        if let Some(more) = self.more {
            response.headers_mut().extend(more.headers);
        }
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
