//! What the environment says about tokens.

use std::time::Duration;

use url::{Host, Url};

use super::key::{Algorithm, KeySet, SECRET_BYTES_LEAST};
use crate::Secret;
use crate::config::{Config, Invalid, Variable};

const ISSUER_ABOUT: &str = "who issues the tokens of callers (OpenID Connect)";

/// What tokens may be signed by, unless `AUTH_ALGORITHMS` says otherwise.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// Clocks that are further apart than this are broken.
const LEEWAY_MOST: Duration = Duration::from_secs(300);

/// How tokens are verified; nothing where no variable says so.
#[derive(Clone, Debug)]
pub(crate) struct AuthSettings(pub(super) Option<Verification>);

/// How tokens are verified.
#[derive(Clone, Debug)]
pub(super) struct Verification {
    pub(super) keys: KeySource,
    pub(super) rules: Rules,
}

/// Where keys come from.
#[derive(Clone, Debug)]
pub(super) enum KeySource {
    Given(KeySet),
    /// From the issuer itself.
    Issuer {
        issuer: IssuerUrl,
        schedule: Schedule,
    },
}

/// How often the issuer is asked for its keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) every: Duration,
    /// From one time to the next at least, however many unknown keys are met.
    pub(super) cooldown: Duration,
}

/// What a token must be.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// `None`: any, where the keys are known to be of one alone.
    pub(super) issuer: Option<String>,
    pub(super) audience: Vec<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) leeway: Duration,
}

/// The URL of an issuer, to the letter: tokens are compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IssuerUrl {
    pub(super) text: String,
    /// It is on this machine, and speaks HTTP.
    pub(super) is_plain: bool,
}

/// The names of this service at its issuer.
struct Audiences(Vec<String>);

impl Variable for Audiences {
    const EXPECTED: &'static str = "a name, or several with commas between them";
    const EXAMPLE: &'static str = "shop";

    fn parse(text: &str) -> Result<Self, String> {
        Vec::parse(text).map(Self)
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

impl AuthSettings {
    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when any of it is wrong, or is missing beside another.
    pub(crate) fn read(config: &mut Config) -> Result<Self, Invalid> {
        let issuer = config.optional::<IssuerUrl>("AUTH_ISSUER", ISSUER_ABOUT);
        let jwks_about = "the keys of the issuer, when they are not to be asked for";
        let jwks = config.optional::<KeySet>("AUTH_JWKS", jwks_about);
        let secret_about = "a secret that issuer and services share, to sign tokens by HMAC";
        let secret = config.optional::<HmacSecret>("AUTH_SECRET", secret_about);
        let audience_about = "for whom tokens must be: the names of this service at its issuer";
        let audience = config.optional::<Audiences>("AUTH_AUDIENCE", audience_about);
        let algorithms_about = "how tokens may be signed";
        let algorithms = config.optional::<Vec<Algorithm>>("AUTH_ALGORITHMS", algorithms_about);
        let times = times(config);
        let (issuer, jwks, secret) = (issuer?, jwks?, secret?);
        let (audience, algorithms, (leeway, schedule)) = (audience?, algorithms?, times?);
        let any = issuer.is_some() || jwks.is_some() || secret.is_some();
        match (&audience, any) {
            (None, false) => return Ok(Self(None)),
            (None, true) => {
                let wrong = "is not set: without it the tokens for any other service of the \
                             issuer would be good here";
                let wrong = wrong.to_owned();
                return Err(config.problem::<Audiences>("AUTH_AUDIENCE", audience_about, wrong));
            }
            (Some(_), false) => {
                let wrong = "is set without AUTH_ISSUER, AUTH_JWKS or AUTH_SECRET, by which \
                             tokens could be verified";
                let wrong = wrong.to_owned();
                return Err(config.problem::<Audiences>("AUTH_AUDIENCE", audience_about, wrong));
            }
            (Some(_), true) => {}
        }
        let algorithms = algorithms.unwrap_or_else(|| match (&jwks, &secret) {
            // With a secret the issuer is not asked for keys.
            (None, Some(_)) => vec![Algorithm::Hs256],
            (Some(_), Some(_)) => ALGORITHMS.into_iter().chain([Algorithm::Hs256]).collect(),
            (_, None) => ALGORITHMS.to_vec(),
        });
        if secret.is_none() && algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
            let wrong = "has an HMAC, which needs AUTH_SECRET".to_owned();
            return Err(config.problem::<Vec<Algorithm>>(
                "AUTH_ALGORITHMS",
                algorithms_about,
                wrong,
            ));
        }
        let rules = Rules {
            issuer: issuer.as_ref().map(|issuer| issuer.text.clone()),
            audience: audience.map(|Audiences(names)| names).unwrap_or_default(),
            algorithms,
            leeway,
        };
        let keys = match (jwks, secret, issuer) {
            (None, None, Some(issuer)) => KeySource::Issuer { issuer, schedule },
            (jwks, secret, _) => {
                let keys = jwks.unwrap_or_default();
                KeySource::Given(match secret {
                    Some(HmacSecret(secret)) => keys.with_secret(secret),
                    None => keys,
                })
            }
        };
        Ok(Self(Some(Verification { keys, rules })))
    }
}

/// How much time tokens and keys are given.
fn times(config: &mut Config) -> Result<(Duration, Schedule), Invalid> {
    let leeway_about = "how far the clocks of issuer and service may be apart";
    let leeway = config.or("AUTH_LEEWAY", Duration::from_secs(60), leeway_about);
    let every_about = "how often the issuer is asked for its keys";
    let every = config.or("AUTH_KEYS_REFRESH", Duration::from_secs(600), every_about);
    let cooldown_about = "how soon the issuer is asked again for a key that is not known";
    let cooldown = config.or("AUTH_KEYS_COOLDOWN", Duration::from_secs(30), cooldown_about);
    let (leeway, every, cooldown) = (leeway?, every?, cooldown?);
    if LEEWAY_MOST < leeway {
        let wrong = "is more than 5m".to_owned();
        return Err(config.problem::<Duration>("AUTH_LEEWAY", leeway_about, wrong));
    }
    for (variable, value, about) in [
        ("AUTH_KEYS_REFRESH", every, every_about),
        ("AUTH_KEYS_COOLDOWN", cooldown, cooldown_about),
    ] {
        if value < Duration::from_millis(100) {
            let wrong = "is less than 100ms".to_owned();
            return Err(config.problem::<Duration>(variable, about, wrong));
        }
    }
    Ok((leeway, Schedule { every, cooldown }))
}

/// Nothing says how callers are told, and operations need to know.
pub(super) fn demand(config: &mut Config) {
    let wrong = "is not set, and neither is AUTH_JWKS nor AUTH_SECRET: operations of this \
                 service need scopes, which only a token can prove";
    // It is in the report, which is what counts.
    let _reported = config.problem::<IssuerUrl>("AUTH_ISSUER", ISSUER_ABOUT, wrong.to_owned());
}

impl Variable for IssuerUrl {
    const EXPECTED: &'static str = "the https URL of an OpenID provider, as its tokens have it";
    const EXAMPLE: &'static str = "https://login.example.com/realms/shop";

    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_not_url| "is not a URL".to_owned())?;
        let wrong = |what: &str| Err(what.to_owned());
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("holds a user name or password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("has a query or fragment, which the URL of an issuer has not");
        }
        let is_plain = match url.scheme() {
            "https" if cfg!(feature = "tls") => false,
            "https" => {
                return wrong("is https, for which updraft must be built with the feature `tls`");
            }
            "http" if is_here(&url) => true,
            "http" => {
                return wrong(
                    "is plain http to another machine, where anybody on the way could \
                              put his own keys in: use https, or AUTH_JWKS",
                );
            }
            _ => return wrong("is not an https URL"),
        };
        Ok(Self { text: text.to_owned(), is_plain })
    }

    fn show(&self) -> String {
        self.text.clone()
    }
}

impl IssuerUrl {
    /// Whether keys may be fetched from this URL for this issuer.
    pub(super) fn trusts(&self, url: &Url) -> bool {
        url.scheme() == "https" || (self.is_plain && url.scheme() == "http" && is_here(url))
    }
}

/// Whether it is on this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

impl Variable for Algorithm {
    const EXPECTED: &'static str = "one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, \
                                    ES384, EdDSA, HS256, HS384, HS512";
    const EXAMPLE: &'static str = "RS256";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Err("is `none`, which is no signature".to_owned()),
            name => Self::of_name(name).ok_or_else(|| "is not known".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.name().to_owned()
    }
}

/// A secret that is long enough to sign by.
struct HmacSecret(Secret);

impl Variable for HmacSecret {
    const EXPECTED: &'static str = "at least 32 random bytes as text, or better its _FILE";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        if text.len() < SECRET_BYTES_LEAST {
            return Err(format!("is shorter than {SECRET_BYTES_LEAST} bytes"));
        }
        Ok(Self(Secret::new(text)))
    }

    fn show(&self) -> String {
        self.0.show()
    }
}
