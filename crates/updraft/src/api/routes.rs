//! The routes of a service, and the short ways to its operations.
//!
//! axum's router knows all of them: which paths there are, what answers `HEAD`, which methods a
//! 405 names. What it does for each request (parameters and the matched path as extensions, a
//! service in a box, a future in a box) costs more than many a handler. So a request that it
//! would certainly give to an operation, by its method and its path, is given to it at once.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use http::Method;
use tower::Service as _;

/// An answer that is being made.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Calls an operation.
pub(super) type Call = Box<dyn Fn(Request) -> Answering + Send + Sync>;

/// The methods of a path that have a short way.
type Ways = Vec<(Method, Call)>;

/// What a service answers.
pub(crate) struct Routes {
    all: Router,
    short: matchit::Router<Ways>,
}

/// The paths of a service, each with its short ways.
#[derive(Default)]
pub(super) struct ShortWays(BTreeMap<String, Ways>);

impl Routes {
    /// `beside_others`: the router has routes beside these paths. Nobody can list them, and any
    /// may be nearer to a request than a template that it fits.
    pub(super) fn new(all: Router, paths: ShortWays, beside_others: bool) -> Self {
        let mut short = matchit::Router::new();
        for (path, ways) in paths.0 {
            if !(beside_others && path.contains('{')) {
                // The router has refused what cannot be added, or answers it.
                drop(short.insert(path, ways));
            }
        }
        Self { all, short }
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, request: Request) -> Answering {
        if let Some(call) = self.short_way(&request) {
            return call(request);
        }
        let mut all = self.all.clone();
        Box::pin(async move {
            let Ok(response) = all.call(request).await;
            response
        })
    }

    fn short_way(&self, request: &Request) -> Option<&Call> {
        let ways = self.short.at(request.uri().path()).ok()?.value;
        ways.iter().find(|(method, _)| method == request.method()).map(|(_, call)| call)
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("all", &self.all).finish_non_exhaustive()
    }
}

impl ShortWays {
    /// A path that is answered, and how one of its methods is, where that has a short way.
    pub(super) fn add(&mut self, path: &str, way: Option<(Method, Call)>) {
        self.0.entry(path.to_owned()).or_default().extend(way);
    }
}

#[cfg(feature = "testing")]
#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
