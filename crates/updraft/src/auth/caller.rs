//! The caller of an operation, as its handler sees it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use bytes::Bytes;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::challenged;
use crate::api::{Input, Received};
use crate::app::{App, Ctx};
use crate::contract::Shape;
use crate::http::Refusal;
use crate::problem::{ProblemDetails, ProblemKind};

/// Who sent a request, by a token that was verified. As an argument of an operation it makes
/// the operation answer 401 to everybody else; `Option<Caller>` takes requests without a token
/// too (one with a token that is not good is still a 401).
///
/// ```
/// # use updraft::{App, Api};
/// # #[derive(App)] struct Orders {}
/// use updraft::{Caller, get};
///
/// /// Says who asks
/// #[get("/me")]
/// async fn me(caller: Caller) -> String {
///     caller.subject().to_owned()
/// }
/// # let api: Api<Orders> = updraft::api![me];
/// ```
///
/// Cloning it is cheap.
#[derive(Clone)]
pub struct Caller(Arc<Known>);

/// What a token says.
#[derive(Default)]
pub(super) struct Known {
    pub(super) subject: String,
    pub(super) issuer: Option<String>,
    pub(super) scopes: Vec<String>,
    /// The claims as JSON.
    pub(super) claims: Bytes,
    /// From when on the token is good, in seconds since 1970.
    #[cfg(feature = "jwt")]
    pub(super) not_before: f64,
    /// Until when it is.
    #[cfg(feature = "jwt")]
    pub(super) expires: f64,
}

/// The claims of a token are not what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the claims of the token are not what they should be")]
pub struct ClaimsError(#[source] serde_json::Error);

/// Scopes and subject, and no claim: what else a token says may be about a person.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Known { subject, scopes, .. } = &*self.0;
        f.debug_struct("Caller").field("subject", subject).field("scopes", scopes).finish()
    }
}

impl Caller {
    #[cfg(feature = "jwt")]
    pub(super) fn of(known: Known) -> Self {
        Self(Arc::new(known))
    }

    /// Somebody at the command line, who says himself what he was granted.
    pub(crate) fn of_command_line(scopes: Vec<String>) -> Self {
        Self::unproven("command line", scopes)
    }

    /// Somebody whom a test says to be granted these.
    #[cfg(feature = "testing")]
    pub(crate) fn of_test(scopes: Vec<String>) -> Self {
        Self::unproven("test", scopes)
    }

    fn unproven(subject: &str, scopes: Vec<String>) -> Self {
        Self(Arc::new(Known {
            subject: subject.to_owned(),
            scopes,
            claims: Bytes::from(format!("{{\"sub\":\"{subject}\"}}")),
            #[cfg(feature = "jwt")]
            expires: f64::INFINITY,
            ..Known::default()
        }))
    }

    /// The claim `sub`: who it is, among all of this issuer.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The claim `iss`: who says so.
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    /// What the caller was granted: the claims `scope` and `scp`.
    pub fn scopes(&self) -> &[String] {
        &self.0.scopes
    }

    /// Whether the caller was granted this.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scopes.iter().any(|own| own == scope)
    }

    /// All claims, as a type of your own.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] when they are something else.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        serde_json::from_slice(&self.0.claims).map_err(ClaimsError)
    }

    /// When the token is good, in seconds since 1970.
    #[cfg(feature = "jwt")]
    pub(super) fn times(&self) -> (f64, f64) {
        (self.0.not_before, self.0.expires)
    }
}

/// The claims of the caller's token, as a type of your own. Who has no token gets a 401, and
/// whose token says something else a 403.
///
/// ```
/// # use updraft::{App, Api};
/// # #[derive(App)] struct Orders {}
/// use serde::Deserialize;
/// use updraft::{Claims, get};
///
/// #[derive(Deserialize)]
/// struct Staff {
///     shop: String,
/// }
///
/// /// Says where the caller works
/// #[get("/my/shop")]
/// async fn shop(staff: Claims<Staff>) -> String {
///     staff.shop.clone()
/// }
/// # let api: Api<Orders> = updraft::api![shop];
/// ```
#[derive(Clone, Debug)]
pub struct Claims<T>(pub T);

impl<T> Claims<T> {
    /// What the token says.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Claims<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

async fn of_parts<A: App>(parts: &mut Parts, app: &Ctx<A>) -> Result<Caller, ProblemDetails> {
    app.auth().known_caller(&parts.headers, &mut parts.extensions).await
}

async fn perhaps<A: App>(
    parts: &mut Parts,
    app: &Ctx<A>,
) -> Result<Option<Caller>, ProblemDetails> {
    app.auth().caller(&parts.headers, &mut parts.extensions).await
}

async fn claims<A: App, T: DeserializeOwned>(
    parts: &mut Parts,
    app: &Ctx<A>,
) -> Result<Claims<T>, ProblemDetails> {
    of_parts(parts, app).await?.claims().map(Claims).map_err(|error| {
        tracing::info!(
            error = &error as &dyn std::error::Error,
            "a token lacks claims that an operation reads"
        );
        let problem = ProblemDetails::of(&ProblemKind::FORBIDDEN);
        let problem = problem.detail("the token lacks claims that this operation needs");
        challenged(problem, "Bearer error=\"insufficient_scope\"")
    })
}

impl<A: App> Input<A> for Caller {
    const ROUTED: bool = false;

    async fn read(received: &mut Received, app: &Ctx<A>) -> Result<Self, Refusal> {
        of_parts(received.parts(), app).await.map_err(Refusal::whole)
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.caller(true);
    }
}

impl<A: App> Input<A> for Option<Caller> {
    const ROUTED: bool = false;

    async fn read(received: &mut Received, app: &Ctx<A>) -> Result<Self, Refusal> {
        perhaps(received.parts(), app).await.map_err(Refusal::whole)
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.caller(false);
    }
}

impl<A: App, T: DeserializeOwned + Send> Input<A> for Claims<T> {
    const ROUTED: bool = false;

    async fn read(received: &mut Received, app: &Ctx<A>) -> Result<Self, Refusal> {
        claims(received.parts(), app).await.map_err(Refusal::whole)
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.caller(true);
        shape.problem(&ProblemKind::FORBIDDEN);
    }
}

impl<A: App> FromRequestParts<Ctx<A>> for Caller {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, app: &Ctx<A>) -> Result<Self, ProblemDetails> {
        of_parts(parts, app).await
    }
}

impl<A: App> OptionalFromRequestParts<Ctx<A>> for Caller {
    type Rejection = ProblemDetails;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Ctx<A>,
    ) -> Result<Option<Self>, ProblemDetails> {
        perhaps(parts, app).await
    }
}

impl<A: App, T: DeserializeOwned> FromRequestParts<Ctx<A>> for Claims<T> {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, app: &Ctx<A>) -> Result<Self, ProblemDetails> {
        claims(parts, app).await
    }
}
