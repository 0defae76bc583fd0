//! Why a request cannot be read, all of it at once: a caller that learns one mistake per
//! request is a caller that asks five times.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use crate::problem::{ProblemDetails, ProblemKind};

/// So many findings are listed; a body of a megabyte can have more mistakes than that.
pub(crate) const FINDINGS_MOST: usize = 64;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Where in the body: a JSON pointer as a fragment of a URI, as RFC 9457 has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// Which parameter, when it is not in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
    /// Where the parameter is: `path`, `query` or `header`.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<&'static str>,
    /// What is wrong, and what would be right.
    pub(crate) detail: String,
}

/// What of a request could not be read.
///
/// Each argument of an operation is read on its own, so one answer names all that is wrong
/// with the path, the query, the headers and the body.
#[derive(Debug, Default)]
pub struct Refusal {
    /// A problem that is not one of findings ends everything.
    whole: Option<Box<ProblemDetails>>,
    invalid: bool,
    findings: Vec<Finding>,
}

impl Refusal {
    /// The request cannot be read at all, or not by this caller.
    pub fn whole(problem: ProblemDetails) -> Self {
        Self { whole: Some(Box::new(problem)), ..Self::default() }
    }

    /// These parts cannot be read: 400.
    pub(crate) fn malformed(findings: Vec<Finding>) -> Self {
        Self { whole: None, invalid: false, findings }
    }

    /// These parts can be read, and say what is not allowed: 422.
    pub(crate) fn invalid(findings: Vec<Finding>) -> Self {
        Self { invalid: true, ..Self::malformed(findings) }
    }

    /// Keeps what was read; what could not be is remembered.
    pub fn keep<T>(&mut self, read: Result<T, Self>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.whole = self.whole.take().or(refusal.whole);
                self.invalid |= refusal.invalid;
                self.findings.extend(refusal.findings);
                None
            }
        }
    }

    /// Whether nothing that is read further could change the answer.
    pub fn is_final(&self) -> bool {
        self.whole.is_some()
    }

    /// The answer.
    pub fn into_problem(self) -> ProblemDetails {
        if let Some(whole) = self.whole {
            return *whole;
        }
        let kind = if self.invalid { &ProblemKind::INVALID } else { &ProblemKind::MALFORMED };
        let mut findings = self.findings;
        let count = findings.len();
        findings.truncate(FINDINGS_MOST);
        let detail = match (&*findings, count) {
            ([], _) => "the request cannot be read".to_owned(),
            ([only], 1) => only.sentence(),
            (_, count) => format!("{count} parts of the request are wrong"),
        };
        ProblemDetails::of(kind).detail(detail).member("errors", findings)
    }
}

/// Marks the answer to a request that no handler has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unread;

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.into_problem().into_response();
        response.extensions_mut().insert(Unread);
        response
    }
}

impl Finding {
    /// Something in the body, by its JSON pointer without `#`.
    pub(crate) fn in_body(pointer: &str, detail: impl Into<String>) -> Self {
        let pointer = Some(format!("#{}", escaped(pointer)));
        Self { pointer, parameter: None, place: None, detail: detail.into() }
    }

    /// A parameter.
    pub(crate) fn in_parameter(
        place: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        let (parameter, place) = (Some(name.into()), Some(place));
        Self { pointer: None, parameter, place, detail: detail.into() }
    }

    fn sentence(&self) -> String {
        match (&self.pointer, &self.parameter) {
            (Some(pointer), _) if pointer == "#" => format!("the body {}", self.detail),
            (Some(pointer), _) => format!("{pointer} {}", self.detail),
            (None, Some(name)) => {
                format!(
                    "the {} parameter `{name}` {}",
                    self.place.unwrap_or("request"),
                    self.detail
                )
            }
            (None, None) => self.detail.clone(),
        }
    }
}

/// What a fragment of a URI may not hold is percent-encoded (RFC 6901, section 6).
fn escaped(pointer: &str) -> String {
    let mut text = String::with_capacity(pointer.len());
    for byte in pointer.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'/'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b':'
            | b'@' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// The body is longer than the process takes.
pub(crate) fn too_large() -> Refusal {
    let problem = ProblemDetails::of(&ProblemKind::TOO_LARGE);
    Refusal::whole(problem.detail("the body is larger than this service takes"))
}

/// The body broke off before its end.
pub(crate) fn broken_off() -> Refusal {
    let problem = ProblemDetails::new(StatusCode::BAD_REQUEST);
    Refusal::whole(problem.detail("the body broke off before its end"))
}
