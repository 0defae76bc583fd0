//! Who may use an operation. What is not granted is refused, before anything else of the
//! request is read, so an operation with scopes is closed in a service that verifies nobody.

use axum::extract::Request;

use super::Declaration;
use crate::auth::{Auth, challenged};
use crate::problem::{ProblemDetails, ProblemKind};

/// Whether the caller may use this operation: 401 and 403 as RFC 6750 has them.
pub(super) async fn check(
    declaration: &Declaration,
    auth: &Auth,
    request: &mut Request,
) -> Result<(), ProblemDetails> {
    if declaration.scopes.is_empty() {
        return Ok(());
    }
    let mut extensions = std::mem::take(request.extensions_mut());
    let caller = auth.known_caller(request.headers(), &mut extensions).await;
    *request.extensions_mut() = extensions;
    let caller = caller?;
    let missing = declaration.scopes.iter().filter(|scope| !caller.has_scope(scope));
    let missing: Vec<_> = missing.copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let scopes = declaration.scopes.join(" ");
    let problem = ProblemDetails::of(&ProblemKind::FORBIDDEN)
        .detail(format!("the token lacks the scope {}", missing.join(", ")));
    Err(challenged(problem, &format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\"")))
}

/// Finds out who asks, when somebody says so.
pub(super) async fn identify(auth: &Auth, request: &mut Request) -> Result<(), ProblemDetails> {
    let mut extensions = std::mem::take(request.extensions_mut());
    let caller = auth.caller(request.headers(), &mut extensions).await;
    *request.extensions_mut() = extensions;
    caller.map(drop)
}
