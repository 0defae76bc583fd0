//! The way out of the contract: whatever axum can read or answer.

use std::ops::Deref;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::refusal::Refusal;
use crate::api::{Input, Output, Received};
use crate::app::{App, Ctx};
use crate::contract::Shape;
use crate::problem::{PROBLEM_JSON, ProblemDetails};

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
/// A rejection keeps its status and its headers, and its text is the detail of the problem.
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

/// A rejection as a problem: one of ours is one, of one of axum's it has the status and the text.
async fn problem_of(response: Response) -> ProblemDetails {
    /// The text of a rejection is kept up to here.
    const TEXT_MOST: usize = 4096;
    let (parts, body) = response.into_parts();
    let status = match parts.status {
        status if status.is_client_error() || status.is_server_error() => status,
        _ => StatusCode::BAD_REQUEST,
    };
    let text = axum::body::to_bytes(body, TEXT_MOST).await.unwrap_or_default();
    let ours = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| *kind == PROBLEM_JSON);
    let problem = ours.then(|| ProblemDetails::received(status, &text)).flatten();
    let problem = problem.unwrap_or_else(|| match text.is_empty() || ours {
        true => ProblemDetails::new(status),
        false => ProblemDetails::new(status).detail(String::from_utf8_lossy(&text).into_owned()),
    });
    // What it asks of the caller is part of it; what describes its former text is not.
    let kept = parts
        .headers
        .iter()
        .filter(|(name, _)| **name != header::CONTENT_TYPE && **name != header::CONTENT_LENGTH);
    kept.fold(problem, |problem, (name, value)| problem.header(name.clone(), value.clone()))
}

impl<R: IntoResponse + Send> Output for Raw<R> {
    fn respond(self) -> Response {
        self.0.into_response()
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.unknown_output();
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn a_rejection_of_ours_stays_what_it_is_and_one_of_axum_becomes_a_problem() {
        let asks = HeaderValue::from_static("Bearer");
        let ours = ProblemDetails::new(StatusCode::UNAUTHORIZED)
            .detail("there is no token")
            .header(header::WWW_AUTHENTICATE, asks.clone());
        let problem = problem_of(ours.into_response()).await;
        assert_eq!(problem.explanation(), Some("there is no token"));
        assert_eq!(problem.into_response().headers()[header::WWW_AUTHENTICATE], asks);
        let axums = (StatusCode::BAD_REQUEST, "no number").into_response();
        let problem = problem_of(axums).await;
        assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
        assert_eq!(problem.explanation(), Some("no number"));
        assert!(problem.into_response().headers()[header::CONTENT_TYPE] == PROBLEM_JSON);
    }
}
