//! From declarations to routes: versions, and what cannot be routed.

use std::collections::BTreeMap;
use std::fmt;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::{HeaderValue, header};

use super::output::OwnPlace;
use super::routes::{Call, Routes, ShortWays};
use super::{Api, Entry, Operation, Received, access};
use crate::app::{App, Ctx};
use crate::contract::{Contract, Shape, pages};
use crate::idempotency::key_of;
use crate::metrics::{KnownRoute, RouteLayer};
use crate::problem::ProblemDetails;
use crate::release::Release;

/// Why operations cannot be an API together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiFault {
    /// Two operations answer the same requests.
    #[error(
        "{operation}: {first} and {second} both answer it; give them versions that do not overlap, or take one out"
    )]
    Twice {
        /// Method and path.
        operation: String,
        /// The function that came first.
        first: String,
        /// The other function.
        second: String,
    },
    /// Two paths differ in the names of their parameters alone, which cannot be routed.
    #[error("{first} and {second}: one place of a path has one name; call the parameters alike")]
    Names {
        /// The path that came first.
        first: String,
        /// The other path.
        second: String,
    },
    /// The versions of an operation are none.
    #[error("{operation}: `until` must be later than `since`, and needs it")]
    Versions {
        /// Method and path.
        operation: String,
    },
    /// An operation names parameters that its path has not.
    #[error("{operation}: {detail}")]
    Shape {
        /// Method and path.
        operation: String,
        /// What is wrong.
        detail: String,
    },
    /// Two operations of one version have the same name in the contract.
    #[error("{first} and {second} are both called `{id}` in the contract; rename one function")]
    Id {
        /// The name.
        id: String,
        /// Method and path of the first.
        first: String,
        /// Method and path of the other.
        second: String,
    },
}

/// An operation as a route of axum.
pub(super) fn route<A: App, O: Operation<A>>(route: KnownRoute) -> MethodRouter<Ctx<A>> {
    let handler = move |State(app): State<Ctx<A>>, request| operate::<A, O>(route, request, app);
    axum::routing::on(O::DECLARATION.method.filter(), handler)
}

/// An operation as a function.
pub(super) fn call<A: App, O: Operation<A>>(route: KnownRoute, app: &Ctx<A>) -> Call {
    let (app, declaration) = (app.clone(), O::DECLARATION);
    // Nothing to do around the handler.
    let is_plain = declaration.scopes.is_empty()
        && declaration.since.is_none()
        && declaration.idempotent.is_none();
    Box::new(move |request| match is_plain {
        true => {
            route.taken();
            Box::pin(O::answer(Received::by(route.clone(), request), app.clone()))
        }
        false => Box::pin(operate::<A, O>(route.clone(), request, app.clone())),
    })
}

// A request is large, and the future of an `async fn` has place for two of each argument
// (rust-lang/rust#62958), so that it would be copied, and allocated, over and over.

/// The answer to a request that has taken this route.
#[expect(clippy::manual_async_fn, reason = "a request is large, see above")]
fn operate<A: App, O: Operation<A>>(
    route: KnownRoute,
    mut request: Request,
    app: Ctx<A>,
) -> impl Future<Output = Response> + Send {
    async move {
        route.taken();
        if let Err(problem) = access::check(O::DECLARATION, app.auth(), &mut request).await {
            return problem.into_response();
        }
        if O::DECLARATION.since.is_none() {
            return answer::<A, O>(route, request, app).await;
        }
        let version = request.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
        let mut response = answer::<A, O>(route, request, app).await;
        below(&version, &mut response);
        response
    }
}

/// The answer of the handler, or the one that it gave to the same request before.
#[expect(clippy::manual_async_fn, reason = "a request is large, see above")]
fn answer<A: App, O: Operation<A>>(
    route: KnownRoute,
    mut request: Request,
    app: Ctx<A>,
) -> impl Future<Output = Response> + Send {
    async move {
        let Some(wanted) = O::DECLARATION.idempotent else {
            return O::answer(Received::by(route, request), app).await;
        };
        let Some(keeper) = app.keeper().cloned() else {
            return ProblemDetails::internal("nothing keeps idempotency keys").into_response();
        };
        let key = match key_of(request.headers(), wanted) {
            Ok(Some(key)) => key,
            Ok(None) => return O::answer(Received::by(route, request), app).await,
            Err(problem) => {
                keeper.refused();
                return problem.into_response();
            }
        };
        if let Err(problem) = access::identify(app.auth(), &mut request).await {
            return problem.into_response();
        }
        let handler = move |request| O::answer(Received::by(route, request), app);
        keeper.answer(O::DECLARATION, key, request, handler).await
    }
}

/// A place that an operation named is one of the version that was asked.
fn below(version: &str, response: &mut Response) {
    if response.extensions_mut().remove::<OwnPlace>().is_some()
        && let Some(location) = response.headers().get(header::LOCATION)
        && let Ok(location) = location.to_str()
        && location.starts_with('/')
        && let Ok(location) = HeaderValue::try_from(format!("/{version}{location}"))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
}

impl<A: App> Api<A> {
    /// Everything that keeps these operations from being an API; empty when all is well. A
    /// service with faults does not start: it says them all, and exits with 70.
    pub fn faults(&self) -> Vec<ApiFault> {
        let mut faults = Vec::new();
        let mut forms: BTreeMap<String, &'static str> = BTreeMap::new();
        for (index, entry) in self.operations.iter().enumerate() {
            let own = entry.declaration;
            let operation = || own.to_string();
            match (own.since, own.until) {
                (None, Some(_)) => faults.push(ApiFault::Versions { operation: operation() }),
                (Some(since), Some(until)) if until <= since => {
                    faults.push(ApiFault::Versions { operation: operation() });
                }
                _ => {}
            }
            let first = *forms.entry(own.form()).or_insert(own.path);
            if first != own.path {
                let (first, second) = (first.to_owned(), own.path.to_owned());
                faults.push(ApiFault::Names { first, second });
            }
            for other in self.operations.iter().take(index).map(|it| it.declaration) {
                if other.method == own.method
                    && other.form() == own.form()
                    && self.served().any(|version| both_of(other, own, version))
                {
                    faults.push(ApiFault::Twice {
                        operation: operation(),
                        first: other.place(),
                        second: own.place(),
                    });
                }
            }
        }
        faults.extend(self.contract_faults());
        faults
    }

    fn contract_faults(&self) -> Vec<ApiFault> {
        let release = Release::of_build("", "");
        let versions = self.versions().map_or(vec![None], |all| all.map(Some).collect());
        let contracts = versions.into_iter().map(|version| self.contract(&release, version));
        let mut faults: Vec<ApiFault> = contracts.flat_map(|it| it.faults).collect();
        let mut seen = Vec::new();
        faults.retain(|fault| {
            let new = !seen.contains(fault);
            seen.push(fault.clone());
            new
        });
        faults
    }

    /// The versions, when operations have any.
    pub(crate) fn versions(&self) -> Option<std::ops::RangeInclusive<u32>> {
        let named = |entry: &Entry<A>| {
            let declaration = entry.declaration;
            declaration.since.into_iter().chain(declaration.until).max()
        };
        let latest = self.operations.iter().filter_map(named).max()?;
        Some(self.oldest..=latest.max(self.oldest))
    }

    /// The versions, or the one that an API without any is of.
    fn served(&self) -> std::ops::RangeInclusive<u32> {
        self.versions().unwrap_or(1..=1)
    }

    /// The contract of a version; without one, of the latest.
    pub(crate) fn contract(&self, release: &Release, version: Option<u32>) -> Contract {
        let version = self.versions().map(|all| version.unwrap_or(*all.end()));
        let of = |entry: &&Entry<A>| version.is_none_or(|version| entry.declaration.is_of(version));
        let operations: Vec<(_, fn(&mut Shape<'_>))> = self
            .operations
            .iter()
            .filter(of)
            .map(|entry| (entry.declaration, entry.describe))
            .collect();
        Contract::of(release, version, &operations)
    }

    /// Whether callers must prove what they were granted.
    pub(crate) fn needs_scopes(&self) -> bool {
        self.operations.iter().any(|entry| !entry.declaration.scopes.is_empty())
    }

    /// The first operation whose requests have keys, when there is any.
    pub(crate) fn needs_keys(&self) -> Option<&'static super::Declaration> {
        let mut all = self.operations.iter().map(|entry| entry.declaration);
        all.find(|declaration| declaration.idempotent.is_some())
    }

    /// All routes of a service that answers from `app`.
    pub(crate) fn into_routes(self, release: &Release, app: &Ctx<A>) -> Routes {
        let mut router = told(self.router.clone());
        let (mut short, beside_others) = (ShortWays::default(), router.has_routes());
        for entry in &self.operations {
            for path in self.paths(entry.declaration) {
                let route = KnownRoute::new(&path);
                let method = entry.declaration.method.http();
                short.add(&path, entry.call.map(|call| (method, call(route.clone(), app))));
                router = router.route(&path, (entry.route)(route));
            }
        }
        if self.pages && !self.operations.is_empty() {
            let mut of_pages = Router::new();
            for (path, page) in pages::pages(&self, release, self.versions()) {
                short.add(&path, None);
                of_pages = of_pages.route(&path, page);
            }
            router = router.merge(told(of_pages));
        }
        Routes::new(router.with_state(app.clone()), short, beside_others)
    }

    /// Where an operation is answered.
    fn paths(&self, declaration: &super::Declaration) -> Vec<String> {
        let path = declaration.path;
        if declaration.since.is_none() {
            return vec![path.to_owned()];
        }
        let all = self.versions().into_iter().flatten();
        let own = all.filter(|version| declaration.is_of(*version));
        own.map(|version| format!("/v{version}{path}")).collect()
    }
}

/// Routes that do not tell themselves which of them a request took.
fn told<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    // A router without any refuses to be layered.
    if router.has_routes() { router.route_layer(RouteLayer) } else { router }
}

fn both_of(one: &super::Declaration, other: &super::Declaration, version: u32) -> bool {
    // One with versions is below them, and one without is not: they never meet.
    one.since.is_some() == other.since.is_some() && one.is_of(version) && other.is_of(version)
}

impl super::Declaration {
    fn place(&self) -> String {
        format!("{}::{}", self.module, self.id)
    }
}

impl fmt::Display for super::Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}
