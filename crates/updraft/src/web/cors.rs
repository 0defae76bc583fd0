//! Which pages of other origins may call this service (Fetch standard, section 3.2). Without
//! `CORS_ORIGINS` there are none: browsers then keep to the same origin by themselves.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};

use crate::config::Variable;
use crate::problem::ProblemDetails;

/// For how long a browser may remember what a preflight was told, in seconds. Chromium
/// remembers nothing for longer than two hours.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// What scripts may read of answers beside what they always may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, idempotent-replayed, link, location, ratelimit, ratelimit-policy, retry-after, x-request-id",
);

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// A longer list of headers in a preflight is nobody's honest wish.
const ASKED_HEADERS_MOST: usize = 2048;

const VARY_PREFLIGHT: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);

/// The rules for pages of other origins.
#[derive(Clone, Debug)]
pub(crate) struct Cors {
    origins: Origins,
    credentials: bool,
}

/// Whose pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    Any,
    Listed(Arc<[HeaderValue]>),
}

impl Variable for Origins {
    const EXPECTED: &'static str =
        "origins with commas between them, such as https://shop.example, or *";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let origins = text.split(',').map(|text| origin(text.trim()));
        let origins: Option<Vec<_>> = origins.collect();
        let wrong = "has a part that is no origin (scheme, host and port, without a path)";
        Ok(Self::Listed(origins.ok_or(wrong)?.into()))
    }

    fn show(&self) -> String {
        match self {
            Self::Any => "*".to_owned(),
            Self::Listed(origins) => {
                let texts = origins.iter().filter_map(|origin| origin.to_str().ok());
                texts.collect::<Vec<_>>().join(",")
            }
        }
    }
}

/// An origin as browsers write it, which is the only way in which it can match.
fn origin(text: &str) -> Option<HeaderValue> {
    // A star would be a letter of the name, which is not what it is meant for.
    if text.contains('*') {
        return None;
    }
    let url: url::Url = text.parse().ok()?;
    let sound =
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
    sound.then(|| HeaderValue::try_from(text).ok())?
}

impl Cors {
    pub(super) fn new(origins: Origins, credentials: bool) -> Self {
        Self { origins, credentials }
    }

    /// Whether pages of this origin may call.
    pub(super) fn allows(&self, origin: &HeaderValue) -> bool {
        match &self.origins {
            Origins::Any => true,
            Origins::Listed(origins) => origins.contains(origin),
        }
    }

    /// The answer to a browser that asks before it sends.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response> {
        let headers = request.headers();
        if request.method() != Method::OPTIONS
            || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        if !self.allows(origin) {
            let problem = ProblemDetails::new(StatusCode::FORBIDDEN)
                .detail("pages of this origin may not call this service (CORS_ORIGINS)");
            return Some(problem.into_response());
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        self.allow(origin, answer);
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        answer.insert(header::VARY, VARY_PREFLIGHT);
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(asked) = asked.filter(|asked| asked.len() <= ASKED_HEADERS_MOST) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        Some(response)
    }

    /// Lets a page of an allowed origin read the answer.
    pub(super) fn tell(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if self.origins != Origins::Any {
            // For caches: the answer differs by origin, also where there was none.
            answer.append(header::VARY, HeaderValue::from_name(header::ORIGIN));
        }
        if let Some(origin) = origin
            && self.allows(origin)
        {
            self.allow(origin, answer);
            set(answer, header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    fn allow(&self, origin: &HeaderValue, answer: &mut HeaderMap) {
        let allowed = match &self.origins {
            Origins::Any => HeaderValue::from_static("*"),
            Origins::Listed(_) => origin.clone(),
        };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }
}

/// Sets a header where the handler has not.
fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
