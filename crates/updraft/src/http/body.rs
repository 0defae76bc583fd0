//! The body of a request and of an answer as JSON.

use std::ops::Deref;

use axum::body::Body;
use axum::extract::FromRequest;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::mismatch;
use super::refusal::{Finding, Refusal, broken_off, too_large};
use crate::api::{Input, Output, Received};
use crate::app::{App, Ctx};
use crate::contract::Shape;
use crate::problem::{ProblemDetails, ProblemKind};

/// The media type of JSON.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A body of JSON (RFC 8259), read or answered.
///
/// Read, it needs a `Content-Type` of `application/json` or `…+json`, else 415. What is no
/// JSON is 400; JSON that is not what `T` asks for is 422, and the answer names every member
/// that is wrong, not only the first. Members that `T` does not know are ignored, unless it
/// has `#[serde(deny_unknown_fields)]`.
///
/// Answered, it is a 200. [`Created`](crate::http::Created) and
/// [`Accepted`](crate::http::Accepted) are its siblings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T> Json<T> {
    /// What was read.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<A: App, T: DeserializeOwned + JsonSchema + Send> Input<A> for Json<T> {
    const BODY: bool = true;
    const ROUTED: bool = false;

    async fn read(received: &mut Received, _: &Ctx<A>) -> Result<Self, Refusal> {
        let body = received.take_body();
        let bytes = json_bytes(received.headers(), body).await?;
        parsed(&bytes, Some(&schema_of::<T>)).map(Self)
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.json_body::<T>();
    }
}

impl<T: Serialize + JsonSchema + Send> Output for Json<T> {
    fn respond(self) -> Response {
        json_response(StatusCode::OK, &self.0)
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.json_response::<T>(200, "The answer");
    }
}

/// For routes of axum's own, where no schema is asked for: only the first mistake is named.
impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ProblemDetails;

    async fn from_request(request: axum::extract::Request, _: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let read = async {
            let bytes = json_bytes(&parts.headers, body).await?;
            parsed(&bytes, None).map(Self)
        };
        read.await.map_err(Refusal::into_problem)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        json_response(StatusCode::OK, &self.0)
    }
}

/// An answer of JSON. A value that cannot be JSON is a fault of the service.
pub(crate) fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = status;
            response.headers_mut().insert(header::CONTENT_TYPE, JSON);
            response
        }
        Err(error) => ProblemDetails::internal(error).into_response(),
    }
}

/// The schema of what is read, made only when something is wrong.
pub(crate) fn schema_of<T: JsonSchema>() -> Schema {
    schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

/// The bytes of a body that says that it is JSON.
async fn json_bytes(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    if !is_json(headers) {
        let problem = ProblemDetails::of(&ProblemKind::MEDIA_TYPE);
        let problem = problem.detail("the body must be JSON, with Content-Type: application/json");
        return Err(Refusal::whole(problem));
    }
    read_body(body).await
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else {
        return false;
    };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let ends_so = |end: &str| {
        let from = essence.len().checked_sub(end.len());
        from.and_then(|from| essence.get(from..)).is_some_and(|it| it.eq_ignore_ascii_case(end))
    };
    essence.eq_ignore_ascii_case("application/json")
        || (ends_so("+json") && essence.len() > "application/+json".len())
}

/// A whole body. How long it may be was decided where it comes from.
pub(crate) async fn read_body(body: Body) -> Result<Bytes, Refusal> {
    let error = match body.collect().await {
        Ok(collected) => return Ok(collected.to_bytes()),
        Err(error) => error,
    };
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(this) = cause {
        if this.is::<LengthLimitError>() {
            return Err(too_large());
        }
        cause = this.source();
    }
    Err(broken_off())
}

/// JSON as a `T`, or all that is wrong with it as far as the schema knows.
fn parsed<T: DeserializeOwned>(
    bytes: &[u8],
    schema: Option<&dyn Fn() -> Schema>,
) -> Result<T, Refusal> {
    // Where the mistake is is asked only when there is one: that costs something.
    let error = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if error.classify() != Category::Data {
        let (line, column) = (error.line(), error.column());
        let detail = if bytes.is_empty() {
            "is empty, and must be JSON".to_owned()
        } else {
            format!("is no JSON: line {line}, column {column}")
        };
        return Err(Refusal::malformed(vec![Finding::in_body("", detail)]));
    }
    let value = serde_json::from_slice(bytes).ok();
    let findings = match (schema, &value) {
        (Some(schema), Some(value)) => mismatch::in_body(schema().as_value(), value),
        _ => Vec::new(),
    };
    if findings.is_empty() {
        return Err(Refusal::invalid(vec![first_mistake::<T>(bytes, &error)]));
    }
    Err(Refusal::invalid(findings))
}

/// What serde stumbled over, and where.
fn first_mistake<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> Finding {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let tracked = serde_path_to_error::deserialize::<_, T>(&mut reader).err();
    let pointer = tracked.as_ref().map(|it| pointer(it.path())).unwrap_or_default();
    let text = tracked.map_or_else(|| error.to_string(), |it| it.into_inner().to_string());
    // serde_json puts the place behind its message; the pointer says it better.
    let detail = text.split(" at line ").next().unwrap_or_default();
    Finding::in_body(&pointer, format!("is wrong: {detail}"))
}

/// A path of serde as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", mismatch::token(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}
