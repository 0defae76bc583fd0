//! A whole answer.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::CallError;
use crate::problem::ProblemDetails;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The value of a successful answer.
    ///
    /// # Errors
    ///
    /// [`CallError::Problem`] when the answer is a problem document, [`CallError::Status`] when
    /// it is another error, [`CallError::Json`] when it is something else than a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        self.success()?;
        serde_json::from_slice(&self.body).map_err(CallError::Json)
    }

    /// That the answer is a successful one.
    ///
    /// # Errors
    ///
    /// [`CallError::Problem`] or [`CallError::Status`].
    pub fn success(&self) -> Result<(), CallError> {
        match self.problem() {
            _ if self.status.is_success() => Ok(()),
            Some(problem) => Err(CallError::Problem(Box::new(problem))),
            None => Err(CallError::Status(self.status)),
        }
    }

    /// The problem that the answer tells of, when it is an error with a problem document.
    pub fn problem(&self) -> Option<ProblemDetails> {
        let is_error = self.status.is_client_error() || self.status.is_server_error();
        let media = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let media = media.split(';').next().unwrap_or_default().trim();
        let is_problem = media.eq_ignore_ascii_case("application/problem+json");
        (is_error && is_problem).then(|| ProblemDetails::received(self.status, &self.body))?
    }

    /// The body, whatever the status.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body, whatever the status.
    pub fn into_body(self) -> Bytes {
        self.body
    }
}
