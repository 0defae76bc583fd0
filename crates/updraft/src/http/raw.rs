//! The way out of the contract: whatever axum can read or answer.

use std::ops::Deref;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::refusal::Refusal;
use crate::api::{Input, Output, Received};
use crate::app::{App, Ctx};
use crate::contract::Shape;
use crate::problem::ProblemDetails;

/// What axum reads from the head of a request, or answers. The contract says of it only that
/// it is there.
///
/// ```
/// # use updraft::{App, Api};
/// # #[derive(App)] struct Orders {}
/// use updraft::get;
/// use updraft::http::{HeaderMap, IntoResponse, Raw, Response};
///
/// /// Says how it was asked
/// #[get("/echo")]
/// async fn echo(Raw(headers): Raw<HeaderMap>) -> Raw<Response> {
///     Raw(format!("{} headers", headers.len()).into_response())
/// }
/// # let api: Api<Orders> = updraft::api![echo];
/// ```
///
/// A rejection keeps its status, and its text is the detail of the problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw<T>(pub T);

impl<T> Deref for Raw<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What axum reads from a request with its body: a form, an upload, the request itself. The
/// contract says of it only that it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawBody<T>(pub T);

impl<T> Deref for RawBody<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<A: App, E: FromRequestParts<Ctx<A>> + Send> Input<A> for Raw<E> {
    async fn read(received: &mut Received, app: &Ctx<A>) -> Result<Self, Refusal> {
        // A rejection may be one of a single thread: it is a response before the next pause.
        let extracted =
            E::from_request_parts(received.parts(), app).await.map_err(IntoResponse::into_response);
        match extracted {
            Ok(extracted) => Ok(Self(extracted)),
            Err(rejection) => Err(refused(rejection).await),
        }
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.unknown_input();
    }
}

impl<A: App, E: FromRequest<Ctx<A>> + Send> Input<A> for RawBody<E> {
    const BODY: bool = true;

    async fn read(received: &mut Received, app: &Ctx<A>) -> Result<Self, Refusal> {
        // What is read after this may need the head too.
        let head = received.parts().clone();
        let request = Request::from_parts(head, received.take_body());
        // A rejection may be one of a single thread: it is a response before the next pause.
        let extracted = E::from_request(request, app).await.map_err(IntoResponse::into_response);
        match extracted {
            Ok(extracted) => Ok(Self(extracted)),
            Err(rejection) => Err(refused(rejection).await),
        }
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.unknown_input();
    }
}

async fn refused(rejection: Response) -> Refusal {
    Refusal::whole(problem_of(rejection).await)
}

/// A rejection of axum's as a problem: its status, and its text when it has one.
async fn problem_of(response: Response) -> ProblemDetails {
    /// The text of a rejection is kept up to here.
    const TEXT_MOST: usize = 4096;
    let status = match response.status() {
        status if status.is_client_error() || status.is_server_error() => status,
        _ => StatusCode::BAD_REQUEST,
    };
    let problem = ProblemDetails::new(status);
    match axum::body::to_bytes(response.into_body(), TEXT_MOST).await {
        Ok(text) if !text.is_empty() => problem.detail(String::from_utf8_lossy(&text).into_owned()),
        _ => problem,
    }
}

impl<R: IntoResponse + Send> Output for Raw<R> {
    fn respond(self) -> Response {
        self.0.into_response()
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.unknown_output();
    }
}
