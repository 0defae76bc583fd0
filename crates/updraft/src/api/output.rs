//! What an operation answers.

use axum::response::{Html, IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::Shape;
use crate::http::body::json_response;
use crate::problem::{Problem, ProblemDetails, ProblemKind};

/// What an operation can return: it makes a response of itself, and says in the contract
/// which.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer of an operation",
    label = "makes no response of itself",
    note = "an operation answers `Json`, `Created` or `Accepted` of what is `Serialize` and `JsonSchema`, `NoContent`, `String`, `Bytes`, `Html`, `Redirect`, `Option` (404 when there is none) or `Result` of these with a `Problem`; `Raw` takes any response of axum"
)]
pub trait Output: Sized {
    /// The response.
    fn respond(self) -> Response;

    /// Says what it answers.
    fn describe(shape: &mut Shape<'_>);
}

/// Marks a response whose `Location` is a path of this API, without its version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnPlace;

/// Something was made: 201, with its place in `Location` and itself as JSON.
///
/// In an API with versions the place is said without its version, and is of the version that
/// was asked: `/orders/7` becomes `/v2/orders/7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created<T> {
    location: String,
    value: T,
}

impl<T> Created<T> {
    /// What was made, and the path at which it is found from now on.
    pub fn at(location: impl Into<String>, value: T) -> Self {
        Self { location: location.into(), value }
    }

    /// What was made.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: Serialize + JsonSchema> Output for Created<T> {
    fn respond(self) -> Response {
        let mut response = json_response(StatusCode::CREATED, &self.value);
        match HeaderValue::try_from(self.location) {
            Ok(location) => drop(response.headers_mut().insert(header::LOCATION, location)),
            Err(error) => return ProblemDetails::internal(error).into_response(),
        }
        response.extensions_mut().insert(OwnPlace);
        response
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.json_response::<T>(201, "It was made");
        shape.header(201, "location", "Where it is found");
    }
}

/// It will be done, and is not done yet: 202, with what is known as JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted<T>(pub T);

impl<T: Serialize + JsonSchema> Output for Accepted<T> {
    fn respond(self) -> Response {
        json_response(StatusCode::ACCEPTED, &self.0)
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.json_response::<T>(202, "It will be done");
    }
}

/// It is done, and there is nothing to say: 204.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl Output for NoContent {
    fn respond(self) -> Response {
        IntoResponse::into_response(self)
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.empty_response(204, "It is done");
    }
}

impl Output for () {
    fn respond(self) -> Response {
        NoContent.respond()
    }

    fn describe(shape: &mut Shape<'_>) {
        <NoContent as Output>::describe(shape);
    }
}

/// What axum answers as it is, with the media type that the contract gives it.
macro_rules! of_axum {
    ($([$($generics:tt)*] $output:ty, $media:literal;)*) => {$(
        impl $($generics)* Output for $output {
            fn respond(self) -> Response {
                IntoResponse::into_response(self)
            }

            fn describe(shape: &mut Shape<'_>) {
                shape.media_response(200, $media, "The answer");
            }
        }
    )*};
}

of_axum! {
    [] String, "text/plain; charset=utf-8";
    [] &'static str, "text/plain; charset=utf-8";
    [] Bytes, "application/octet-stream";
    [] Html<String>, "text/html; charset=utf-8";
    [] Html<&'static str>, "text/html; charset=utf-8";
}

impl Output for Redirect {
    fn respond(self) -> Response {
        IntoResponse::into_response(self)
    }

    fn describe(shape: &mut Shape<'_>) {
        for (status, about) in [(303, "See there"), (307, "Now there"), (308, "Moved there")] {
            shape.empty_response(status, about);
            shape.header(status, "location", "Where to ask");
        }
    }
}

/// 404 when there is none.
impl<T: Output> Output for Option<T> {
    fn respond(self) -> Response {
        match self {
            Some(output) => output.respond(),
            None => ProblemDetails::of(&ProblemKind::NOT_FOUND).into_response(),
        }
    }

    fn describe(shape: &mut Shape<'_>) {
        T::describe(shape);
        shape.problem(&ProblemKind::NOT_FOUND);
    }
}

impl<T: Output, E: Problem> Output for Result<T, E> {
    fn respond(self) -> Response {
        match self {
            Ok(output) => output.respond(),
            Err(problem) => problem.into_details().into_response(),
        }
    }

    fn describe(shape: &mut Shape<'_>) {
        T::describe(shape);
        E::describe(shape);
    }
}

/// With more headers than the answer has of its own. The contract does not say which.
impl<T: Output> Output for (HeaderMap, T) {
    fn respond(self) -> Response {
        let (headers, output) = self;
        let mut response = output.respond();
        response.headers_mut().extend(headers);
        response
    }

    fn describe(shape: &mut Shape<'_>) {
        T::describe(shape);
    }
}
