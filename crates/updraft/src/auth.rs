//! Who asks: bearer tokens (RFC 6750) that are signed JWTs (RFC 7519), verified as RFC 8725
//! advises. A token is looked at when an operation needs to know its caller, before the body
//! is read, and at most once per request. What cannot be verified is nobody: without the
//! feature `jwt`, or without any `AUTH_…` variable, there are no callers.

mod caller;
#[cfg(feature = "jwt")]
mod issuer;
#[cfg(feature = "jwt")]
mod key;
#[cfg(feature = "jwt")]
mod metrics;
#[cfg(feature = "jwt")]
mod settings;
#[cfg(feature = "jwt")]
mod token;
#[cfg(feature = "jwt")]
mod verifier;

use http::{Extensions, HeaderMap, HeaderValue, header};

use crate::config::{Config, Outcome};
use crate::metrics::Metrics;
use crate::problem::{ProblemDetails, ProblemKind};
use crate::process::Context;

pub use caller::{Caller, Claims, ClaimsError};
#[cfg(feature = "jwt")]
pub(crate) use settings::AuthSettings;

/// The variables by which tokens can be verified.
const SOURCES: [&str; 3] = ["AUTH_ISSUER", "AUTH_JWKS", "AUTH_SECRET"];

/// What the build cannot use.
#[cfg(not(feature = "jwt"))]
#[derive(Clone, Debug)]
pub(crate) struct AuthSettings;

#[cfg(not(feature = "jwt"))]
impl AuthSettings {
    #[expect(clippy::unnecessary_wraps, reason = "with the feature `jwt` it may be wrong")]
    pub(crate) fn read(_: &mut Config) -> Result<Self, crate::config::Invalid> {
        Ok(Self)
    }
}

/// Tells callers by their tokens. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Auth {
    #[cfg(feature = "jwt")]
    verifier: Option<std::sync::Arc<verifier::Verifier>>,
}

impl Auth {
    #[cfg_attr(not(feature = "jwt"), expect(unused_variables, reason = "nothing is verified"))]
    pub(crate) fn new(settings: AuthSettings, metrics: &Metrics) -> Self {
        #[cfg(feature = "jwt")]
        return Self {
            verifier: verifier::Verifier::new(settings, metrics).map(std::sync::Arc::new),
        };
        #[cfg(not(feature = "jwt"))]
        Self::default()
    }

    /// Keeps the keys of the issuer current, from here to the end of the process.
    #[cfg_attr(not(feature = "jwt"), expect(unused_variables, reason = "nothing is verified"))]
    pub(crate) fn start(&self, context: &Context) {
        #[cfg(feature = "jwt")]
        if let Some(verifier) = &self.verifier {
            verifier.start(context);
        }
    }

    /// Who sent a request, and remembers that among its extensions. `None`: it has no token,
    /// or there is nothing to verify one by.
    ///
    /// # Errors
    ///
    /// 400, 401 or 503, as RFC 6750 has them.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Result<Option<Caller>, ProblemDetails> {
        if let Some(caller) = extensions.get::<Caller>() {
            return Ok(Some(caller.clone()));
        }
        let caller = self.verified(headers).await?;
        if let Some(caller) = &caller {
            extensions.insert(caller.clone());
        }
        Ok(caller)
    }

    #[cfg(feature = "jwt")]
    async fn verified(&self, headers: &HeaderMap) -> Result<Option<Caller>, ProblemDetails> {
        match (&self.verifier, bearer(headers)?) {
            (Some(verifier), Some(token)) => verifier.verify(token).await.map(Some),
            _ => Ok(None),
        }
    }

    #[cfg(not(feature = "jwt"))]
    #[expect(clippy::unused_async, reason = "with the feature `jwt` it may wait for keys")]
    async fn verified(&self, headers: &HeaderMap) -> Result<Option<Caller>, ProblemDetails> {
        bearer(headers).map(|_token_that_nothing_verifies| None)
    }

    /// The caller, without whom there is no answer.
    pub(crate) async fn known_caller(
        &self,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Result<Caller, ProblemDetails> {
        self.caller(headers, extensions).await?.ok_or_else(|| {
            let problem = ProblemDetails::of(&ProblemKind::UNAUTHORIZED);
            // No error code where no token was sent (RFC 6750, section 3.1).
            challenged(problem.detail("this operation needs a bearer token"), "Bearer")
        })
    }
}

/// The token of a request. Other schemes are none of ours.
///
/// # Errors
///
/// 400 when the header is there twice, since nobody could say which one counts.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ProblemDetails> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let first = all.next();
    if all.next().is_some() {
        let problem = ProblemDetails::of(&ProblemKind::MALFORMED);
        let problem = problem.detail("the header Authorization is there more than once");
        return Err(challenged(problem, "Bearer error=\"invalid_request\""));
    }
    let Some(text) = first.and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let Some((scheme, token)) = text.split_once(' ') else { return Ok(None) };
    Ok(scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_matches(' ')))
}

/// The problem with its challenge (RFC 9110, section 11.6.1).
pub(crate) fn challenged(problem: ProblemDetails, challenge: &str) -> ProblemDetails {
    match HeaderValue::from_str(challenge) {
        Ok(challenge) => problem.header(header::WWW_AUTHENTICATE, challenge),
        Err(_scope_that_no_header_can_hold) => problem,
    }
}

/// A service whose operations need scopes must be able to tell callers: a process that
/// refuses everybody is as wrong as one that refuses nobody.
pub(crate) fn demand(config: &mut Config) {
    let is_set = |name: &str| {
        let of = config.declared().iter().find(|declared| declared.variable == name);
        of.is_some_and(|declared| declared.outcome != Outcome::NotSet)
    };
    if SOURCES.into_iter().any(is_set) {
        return;
    }
    #[cfg(feature = "jwt")]
    settings::demand(config);
    #[cfg(not(feature = "jwt"))]
    {
        let wrong = "cannot be used, and operations need scopes: build with the feature `jwt` \
                     of updraft";
        config.problem::<String>("AUTH_ISSUER", "who issues the tokens", wrong.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let pairs = values.iter().map(|it| (header::AUTHORIZATION, HeaderValue::from_static(it)));
        pairs.collect()
    }

    #[test]
    fn a_bearer_token_is_one_header_of_that_scheme() {
        let cases: &[(&[&'static str], Option<&str>)] = &[
            (&[], None),
            (&["Bearer abc"], Some("abc")),
            (&["bearer  abc "], Some("abc")),
            (&["Bearer"], None),
            (&["Basic abc"], None),
            (&["BearerX abc"], None),
        ];
        for (values, token) in cases {
            assert_eq!(bearer(&headers(values)).unwrap(), *token, "{values:?}");
        }
        let twice = bearer(&headers(&["Bearer a", "Bearer b"])).unwrap_err();
        assert_eq!(twice.status(), 400);
    }
}
