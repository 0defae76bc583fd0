//! How the listener learns which route a request took, also when its handler panics or its
//! client goes away. Operations tell it themselves; routes of axum's own have a layer around
//! them, which costs several allocations for each request.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::extract::MatchedPath;
use http::Request;
use tower::{Layer, Service};

use super::{HttpServer, Route};

tokio::task_local! {
    static ANSWERING: Answering;
}

/// A request that is being answered.
struct Answering {
    http: HttpServer,
    route: Cell<Option<Arc<Route>>>,
}

/// The series of one route, looked up by the first request that takes it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownRoute(Arc<OnceLock<Arc<Route>>>);

impl KnownRoute {
    /// Tells [`Route::matched`] that the request in hand has taken this route.
    pub(crate) fn taken(&self, path: Option<&MatchedPath>) {
        let tell = |answering: &Answering| {
            let http = &answering.http;
            let route = self.0.get_or_init(|| match path {
                Some(path) => http.route(path.as_str()),
                None => Arc::clone(http.unmatched()),
            });
            answering.route.set(Some(Arc::clone(route)));
        };
        // Outside of a request that the listener answers there is nobody to tell.
        ANSWERING.try_with(tell).unwrap_or_default();
    }
}

impl Route {
    /// Answers a request, within which [`Route::matched`] is known.
    pub(crate) fn known<T>(
        http: HttpServer,
        answer: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        ANSWERING.scope(Answering { http, route: Cell::new(None) }, answer)
    }

    /// The route that the request has taken, once.
    pub(crate) fn matched() -> Option<Arc<Self>> {
        ANSWERING.try_with(|answering| answering.route.take()).ok().flatten()
    }
}

/// Tells [`Route::matched`]. Every route has its own, so the template of its path is looked
/// up once and not for each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteLayer;

impl<S> Layer<S> for RouteLayer {
    type Service = Routed<S>;

    fn layer(&self, inner: S) -> Routed<S> {
        Routed { inner, route: KnownRoute::default() }
    }
}

/// A route that knows its name. Clones are the same route.
#[derive(Clone, Debug)]
pub(crate) struct Routed<S> {
    inner: S,
    route: KnownRoute,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Routed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.route.taken(request.extensions().get());
        self.inner.call(request)
    }
}
