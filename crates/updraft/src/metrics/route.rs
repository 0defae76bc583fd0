//! How the listener learns which route a request took, also when its handler panics or its
//! client goes away. Operations tell it themselves; routes of axum's own have a layer around
//! them, which costs several allocations for each request.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::extract::MatchedPath;
use http::Request;
use tower::{Layer, Service};

use super::Route;
use crate::in_hand::InHand;

/// A route, whose series is looked up by the first request that takes it. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct KnownRoute(Arc<Known>);

#[derive(Debug)]
struct Known {
    template: String,
    series: OnceLock<Arc<Route>>,
}

impl KnownRoute {
    /// The route of this template, such as `/orders/{id}`.
    pub(crate) fn new(template: &str) -> Self {
        Self(Arc::new(Known { template: template.to_owned(), series: OnceLock::new() }))
    }

    pub(crate) fn template(&self) -> &str {
        &self.0.template
    }

    /// Tells the request in hand that it has taken this route. Outside of one there is nobody
    /// to tell.
    pub(crate) fn taken(&self) {
        let takes = |hand: &InHand| hand.takes(&self.0.series, Some(&self.0.template));
        InHand::current(takes).unwrap_or_default();
    }
}

/// Tells the request in hand. Every route has its own, so the template of its path is looked
/// up once and not for each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteLayer;

impl<S> Layer<S> for RouteLayer {
    type Service = Routed<S>;

    fn layer(&self, inner: S) -> Routed<S> {
        Routed { inner, series: Arc::default() }
    }
}

/// A route that knows its name. Clones are the same route.
#[derive(Clone, Debug)]
pub(crate) struct Routed<S> {
    inner: S,
    series: Arc<OnceLock<Arc<Route>>>,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Routed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let takes = |hand: &InHand| {
            let path: Option<&MatchedPath> = request.extensions().get();
            hand.takes(&self.series, path.map(MatchedPath::as_str));
        };
        InHand::current(takes).unwrap_or_default();
        self.inner.call(request)
    }
}
