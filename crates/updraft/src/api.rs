//! What a service answers: its operations, each declared once. The declaration routes the
//! operation, reads its input and writes its part of the contract, so none of the three can
//! drift from the others.

mod access;
mod declaration;
mod input;
mod output;
mod routes;
mod routing;

use axum::Router;
use axum::routing::MethodRouter;

pub use declaration::{Declaration, Method};
pub(crate) use declaration::{form, parameters};
pub use input::{Input, Received};
pub(crate) use output::OwnPlace;
pub use output::{Accepted, Created, NoContent, Output};
use routes::Call;
pub(crate) use routes::{Answering, Routes};
pub use routing::ApiFault;

use crate::app::{App, Ctx};
use crate::contract::Shape;
use crate::http::Response;
use crate::metrics::KnownRoute;

/// One operation of an API: a method on a path, with all that it reads and answers.
///
/// The attributes [`get`](macro@crate::get), [`post`](macro@crate::post),
/// [`put`](macro@crate::put), [`patch`](macro@crate::patch) and
/// [`delete`](macro@crate::delete) make one of a function.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operation of an API of `{A}`",
    label = "not an operation of `{A}`",
    note = "write `#[get(\"/path\")]` (or `post`, `put`, `patch`, `delete`) above the function; its argument `Ctx<…>` says which `App` it is of"
)]
pub trait Operation<A: App>: 'static {
    /// What its attribute and its doc comment say.
    const DECLARATION: &'static Declaration;

    /// Whether an argument is [`Input::ROUTED`].
    const ROUTED: bool = true;

    /// Says what it reads and answers.
    fn describe(shape: &mut Shape<'_>);

    /// Answers one request.
    fn answer(received: Received, app: Ctx<A>) -> impl Future<Output = Response> + Send;
}

/// The operations of a service.
///
/// ```
/// use updraft::http::Path;
/// use updraft::{Api, App, get};
///
/// #[derive(App)]
/// struct Greeter {}
///
/// /// Greets somebody
/// #[get("/hello/{name}")]
/// async fn greet(Path(name): Path<String>) -> String {
///     format!("hello {name}")
/// }
///
/// let api: Api<Greeter> = updraft::api![greet];
/// assert!(api.faults().is_empty());
/// ```
///
/// A service with operations also answers `/openapi.json` and `/docs`, unless
/// [`without_pages`](Self::without_pages).
///
/// # Versions
///
/// An operation with `since = 1` is of version 1 and of all later ones, one with
/// `since = 1, until = 3` is of 1 and 2. Such operations are answered below `/v1`, `/v2` and
/// so on; the latest version is the greatest number that any operation names. Each version
/// has a contract of its own, at `/v1/openapi.json`. Operations without `since` are of every
/// version, at their path alone.
pub struct Api<A: App> {
    operations: Vec<Entry<A>>,
    router: Router<Ctx<A>>,
    oldest: u32,
    pages: bool,
}

/// An operation as the API keeps it.
struct Entry<A> {
    declaration: &'static Declaration,
    describe: fn(&mut Shape<'_>),
    /// Makes its route.
    route: fn(KnownRoute) -> MethodRouter<Ctx<A>>,
    /// Makes the short way to it; `None` where it needs axum's router.
    call: Option<fn(KnownRoute, &Ctx<A>) -> Call>,
}

impl<A: App> std::fmt::Debug for Api<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let operations: Vec<_> = self.operations.iter().map(|it| it.declaration.id).collect();
        f.debug_struct("Api").field("operations", &operations).finish_non_exhaustive()
    }
}

impl<A: App> Default for Api<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: App> Api<A> {
    /// No operations yet.
    pub fn new() -> Self {
        Self { operations: Vec::new(), router: Router::new(), oldest: 1, pages: true }
    }

    /// One more operation: `Api::new().with::<create>()`.
    #[must_use]
    pub fn with<O: Operation<A>>(mut self) -> Self {
        self.operations.push(Entry {
            declaration: O::DECLARATION,
            describe: O::describe,
            route: routing::route::<A, O>,
            call: (!O::ROUTED).then_some(routing::call::<A, O>),
        });
        self
    }

    /// All operations of another API too.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.operations.extend(other.operations);
        let oldest = self.oldest.max(other.oldest);
        Self { router: self.router.merge(other.router), oldest, ..self }
    }

    /// Routes of axum's own. They are no part of the contract, and they are not below a
    /// version. A path that an operation or a page has too is refused by axum at the start.
    #[must_use]
    pub fn router(self, router: Router<Ctx<A>>) -> Self {
        Self { router: self.router.merge(router), ..self }
    }

    /// The oldest version that is still answered; 1 unless this says otherwise. What is older
    /// is gone, and its operations can be deleted.
    #[must_use]
    pub fn oldest(self, version: u32) -> Self {
        Self { oldest: version, ..self }
    }

    /// Neither `/openapi.json` nor `/docs`: the contract is still printed by the command
    /// line.
    #[must_use]
    pub fn without_pages(self) -> Self {
        Self { pages: false, ..self }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.operations.is_empty() && !self.router.has_routes()
    }
}

/// The operations of a service: `api![create, show, list]`.
#[macro_export]
macro_rules! api {
    ($($operation:ty),* $(,)?) => { $crate::Api::new()$(.with::<$operation>())* };
}

#[cfg(test)]
#[path = "api/api_tests.rs"]
mod tests;
