//! A JWT in its compact form (RFC 7515, section 7.1), taken apart with as little trust as can
//! be: nothing that it claims is read before its signature was found good.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;

use super::caller::{Caller, Known};
use super::key::Algorithm;
use super::settings::Rules;

/// The longest token that is looked at, in bytes.
const TOKEN_MOST: usize = 8 * 1024;

/// Why a token is not good. Callers learn of it no more than that, and that it has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("it is no JWT")]
    Malformed,
    #[error("it is a JWT of a type that is no access token")]
    Type,
    #[error("it is signed in a way that is not allowed")]
    Algorithm,
    #[error("it is signed by a key that is not known")]
    Key,
    #[error("its signature is wrong")]
    Signature,
    #[error("its claims lack what every token needs")]
    Claims,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is for somebody else")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not good yet")]
    Early,
}

impl Refused {
    /// As metrics have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::Key => "unknown_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::Early => "not_yet_valid",
        }
    }
}

/// A token that is not verified yet.
#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) key: Option<String>,
    /// What is signed.
    pub(super) signed: &'t [u8],
    pub(super) signature: Vec<u8>,
    payload: &'t str,
}

/// The members of a header that mean something here (RFC 7515, section 4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood: none is.
    crit: Option<serde::de::IgnoredAny>,
}

/// The claims that mean something here (RFC 7519, section 4.1; RFC 9068, section 2.2).
#[derive(Deserialize)]
struct Registered {
    sub: String,
    exp: f64,
    iss: Option<String>,
    aud: Option<Texts>,
    nbf: Option<f64>,
    scope: Option<Texts>,
    /// As some issuers call it.
    scp: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn each(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }

    /// Scopes: a list, or words with spaces between.
    fn words(&self) -> impl Iterator<Item = String> {
        let words = self.each().iter().flat_map(|text| text.split(' '));
        words.filter(|word| !word.is_empty()).map(str::to_owned)
    }
}

impl<'t> Token<'t> {
    /// Takes a text apart.
    ///
    /// # Errors
    ///
    /// [`Refused`]: it is no token, or of a kind that is not taken.
    pub(super) fn read(text: &'t str, rules: &Rules) -> Result<Self, Refused> {
        if TOKEN_MOST < text.len() {
            return Err(Refused::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Refused::Malformed)?;
        if payload.contains('.') {
            return Err(Refused::Malformed);
        }
        let header: Header = json(header).ok_or(Refused::Malformed)?;
        if header.crit.is_some() {
            return Err(Refused::Type);
        }
        // An ID token of OpenID Connect says nothing or `JWT`, as many access tokens do: what
        // tells them apart is for whom they are. A logout token says what it is.
        let access = |typ: &str| {
            let typ = typ.strip_prefix("application/").unwrap_or(typ);
            typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt")
        };
        if !header.typ.as_deref().is_none_or(access) {
            return Err(Refused::Type);
        }
        let algorithm = Algorithm::of_name(&header.alg)
            .filter(|algorithm| rules.algorithms.contains(algorithm))
            .ok_or(Refused::Algorithm)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok().ok_or(Refused::Malformed)?;
        Ok(Self { algorithm, key: header.kid, signed: signed.as_bytes(), signature, payload })
    }

    /// Whom a token names whose signature was found good.
    ///
    /// # Errors
    ///
    /// [`Refused`]: its claims are not those of a token for this service now.
    pub(super) fn caller(&self, rules: &Rules, now: f64) -> Result<Caller, Refused> {
        let claims = URL_SAFE_NO_PAD.decode(self.payload).ok().ok_or(Refused::Malformed)?;
        let registered: Registered = serde_json::from_slice(&claims).ok().ok_or(Refused::Claims)?;
        let Registered { sub, exp, iss, aud, nbf, scope, scp } = registered;
        if rules.issuer.is_some() && rules.issuer != iss {
            return Err(Refused::Issuer);
        }
        let ours = |audience: &String| rules.audience.contains(audience);
        if !aud.is_some_and(|aud| aud.each().iter().any(ours)) {
            return Err(Refused::Audience);
        }
        let caller = Caller::of(Known {
            subject: sub,
            issuer: iss,
            scopes: scope.iter().chain(scp.iter()).flat_map(Texts::words).collect(),
            claims: Bytes::from(claims),
            not_before: nbf.unwrap_or(0.0),
            expires: exp,
        });
        in_time(&caller, rules, now)?;
        Ok(caller)
    }
}

/// Whether the token of a caller is good now, give or take how far clocks may be apart.
pub(super) fn in_time(caller: &Caller, rules: &Rules, now: f64) -> Result<(), Refused> {
    let (not_before, expires) = caller.times();
    let leeway = rules.leeway.as_secs_f64();
    if expires + leeway <= now {
        Err(Refused::Expired)
    } else if now + leeway < not_before {
        Err(Refused::Early)
    } else {
        Ok(())
    }
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&bytes).ok()
}
