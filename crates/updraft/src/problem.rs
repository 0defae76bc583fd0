//! Failures as RFC 9457 problem documents, so that every service answers errors alike.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::BoxError;

/// The media type of a problem document.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A failed request, told to its caller.
///
/// ```
/// use updraft::Problem;
/// use updraft::http::StatusCode;
///
/// let problem = Problem::new(StatusCode::CONFLICT).detail("an invoice with this number exists");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: Option<String>,
    retry_after_s: Option<u32>,
}

/// The members of the document.
#[derive(Serialize)]
struct Document<'a> {
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl Problem {
    /// A problem of this status; its title is the status's own reason.
    pub fn new(status: StatusCode) -> Self {
        Self { status, detail: None, retry_after_s: None }
    }

    /// Says what is wrong with this request, and what would be right.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Tells the caller after how many seconds to try again.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// A fault of this service: it is logged here with its whole chain, and the caller
    /// learns nothing but that it happened.
    pub fn internal(error: impl Into<BoxError>) -> Self {
        let error = error.into();
        tracing::error!(error = &*error as &dyn std::error::Error, "the request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Problem {
    /// So that `?` in a handler is right for faults of the service itself.
    fn from(error: E) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            title: self.status.canonical_reason().unwrap_or("Unknown"),
            status: self.status.as_u16(),
            detail: self.detail.as_deref(),
        };
        let text = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
