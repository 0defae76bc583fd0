//! What an operation reads of a request.

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use crate::Stop;
use crate::app::{App, Ctx};
use crate::contract::Shape;
use crate::http::Refusal;
use crate::http::body::read_body;
use crate::metrics::KnownRoute;
use crate::problem::ProblemDetails;

/// A request that an operation reads its input from.
#[derive(Debug)]
pub struct Received {
    parts: Parts,
    body: Body,
    /// The route that it has taken; `None`: it did not come by one of ours.
    route: Option<KnownRoute>,
}

impl Received {
    /// A request.
    pub fn new(request: http::Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        Self { parts, body, route: None }
    }

    /// A request that has taken this route.
    pub(super) fn by(route: KnownRoute, request: http::Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        Self { parts, body, route: Some(route) }
    }

    /// Its head, and the template of its route, where that is known.
    pub(crate) fn head(&mut self) -> (&mut Parts, Option<&str>) {
        (&mut self.parts, self.route.as_ref().map(KnownRoute::template))
    }

    /// Method, URI, headers and extensions.
    pub fn parts(&mut self) -> &mut Parts {
        &mut self.parts
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The body. It is read once: after that it is empty.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.body)
    }
}

/// What an argument of an operation can be: it reads itself from a request, and says in the
/// contract what it reads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an operation of `{A}`",
    label = "does not read itself from a request",
    note = "an operation reads `Ctx<…>` of its own App, `Path`, `Query`, `Headers`, `Json` and `Valid` of what is `Deserialize` and `JsonSchema` (and `garde::Validate`), `String`, `Bytes`, `Caller`, `Option<Caller>`, `Claims`, `Peer` and `Stop`; `Raw` and `RawBody` take any extractor of axum"
)]
pub trait Input<A: App>: Sized + Send {
    /// Whether it reads the body, which one argument of an operation can.
    const BODY: bool = false;

    /// Whether it reads what axum's router puts beside a request: the matched path, raw path
    /// parameters, its extensions. Operations of which no argument does are called without
    /// that router, which costs as much as many a handler.
    const ROUTED: bool = true;

    /// Reads it.
    ///
    /// # Errors
    ///
    /// All that is wrong with this part of the request.
    fn read(
        received: &mut Received,
        app: &Ctx<A>,
    ) -> impl Future<Output = Result<Self, Refusal>> + Send;

    /// Says what it reads.
    fn describe(shape: &mut Shape<'_>);
}

impl<A: App> Input<A> for Ctx<A> {
    const ROUTED: bool = false;

    async fn read(_: &mut Received, app: &Self) -> Result<Self, Refusal> {
        Ok(app.clone())
    }

    fn describe(_: &mut Shape<'_>) {}
}

/// How a handler whose answer lasts learns that the process ends.
impl<A: App> Input<A> for Stop {
    const ROUTED: bool = false;

    async fn read(_: &mut Received, app: &Ctx<A>) -> Result<Self, Refusal> {
        Ok(app.stop())
    }

    fn describe(_: &mut Shape<'_>) {}
}

/// The body as it came.
impl<A: App> Input<A> for Bytes {
    const BODY: bool = true;
    const ROUTED: bool = false;

    async fn read(received: &mut Received, _: &Ctx<A>) -> Result<Self, Refusal> {
        read_body(received.take_body()).await
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.raw_body("application/octet-stream");
    }
}

/// The body as text in UTF-8.
impl<A: App> Input<A> for String {
    const BODY: bool = true;
    const ROUTED: bool = false;

    async fn read(received: &mut Received, _: &Ctx<A>) -> Result<Self, Refusal> {
        let bytes = read_body(received.take_body()).await?;
        String::from_utf8(bytes.into()).map_err(|_not_utf8| {
            let problem = ProblemDetails::new(StatusCode::BAD_REQUEST);
            Refusal::whole(problem.detail("the body is no text in UTF-8"))
        })
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.raw_body("text/plain");
        shape.refuses_malformed();
    }
}
