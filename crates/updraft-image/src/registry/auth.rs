//! Saying who asks: Basic (RFC 7617), and tokens of a token server (Bearer, RFC 6750) by the flow
//! of Docker's registry, `distribution/docs/spec/auth`, which every registry follows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;
use zeroize::Zeroizing;

use super::challenge::{Challenge, challenges};
use super::content::Payload;
use super::credentials::{Credential, CredentialFiles, Found};
use super::error::{Complaint, Looked, RegistryError, RequestLine, Unauthorized, complaints};
use super::reference::is_loopback;
use super::transport::Transport;
use super::{Place, origin};

/// The largest answer of a token server, in bytes.
const TOKEN_MOST: usize = 256 << 10;
/// What a token lives where the server does not say: what the specification has.
const LIFE: Duration = Duration::from_secs(60);
const LIFE_MOST: Duration = Duration::from_secs(24 * 3600);
/// A token is not used in its last seconds: a request takes time.
const MARGIN: Duration = Duration::from_secs(10);
/// Tokens that are kept; when there are more, all are forgotten.
const KEPT_MOST: usize = 64;
const CLIENT: &str = "updraft";

/// Knows what each registry was told, and tells it again.
#[derive(Debug)]
pub(super) struct Signer {
    files: CredentialFiles,
    /// By registry and scopes. It is held while a token is fetched, so that requests at the same
    /// time share one.
    held: Mutex<BTreeMap<String, Held>>,
}

/// The value of `Authorization`, which is marked as sensitive.
#[derive(Clone, Debug)]
struct Held {
    value: HeaderValue,
    until: Instant,
}

/// An answer with 401, of which a way on is sought.
pub(super) struct Refusal<'a> {
    pub(super) line: &'a RequestLine,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// What had been sent.
    pub(super) sent: Option<&'a HeaderValue>,
}

impl Signer {
    pub(super) fn new(files: CredentialFiles) -> Self {
        Self { files, held: Mutex::default() }
    }

    /// What the registry took before and will take again.
    pub(super) async fn known(&self, place: &Place) -> Option<HeaderValue> {
        let held = self.held.lock().await;
        let fresh = held.get(&place.key()).filter(|held| Instant::now() < held.until);
        fresh.map(|held| held.value.clone())
    }

    /// What to send instead of what was refused.
    pub(super) async fn answer(
        &self,
        transport: &Transport,
        place: &Place,
        refusal: &Refusal<'_>,
    ) -> Result<HeaderValue, RegistryError> {
        let mut held = self.held.lock().await;
        if let Some(other) = held.get(&place.key())
            && Some(&other.value) != refusal.sent
            && Instant::now() < other.until
        {
            return Ok(other.value.clone());
        }
        held.remove(&place.key());
        let found = self.files.find(&place.host, &place.name).await?;
        if found.credential.is_some() && is_open(&place.base) {
            return Err(RegistryError::PlainCredentials { host: place.host.clone() });
        }
        let asked = challenges(refusal.headers);
        let by = |scheme: &str| asked.iter().find(|challenge| challenge.scheme == scheme);
        let fresh = match (by("bearer"), by("basic"), &found.credential) {
            (_, _, Some(Credential::Bearer(token))) => held_bearer(token, LIFE_MOST),
            (Some(challenge), _, _) => {
                self.token(transport, place, challenge, &found, refusal).await?
            }
            (None, Some(_), Some(Credential::Password { user, password })) => {
                Some(Held { value: basic(user, password), until: Instant::now() + LIFE_MOST })
            }
            _ => None,
        };
        let fresh = fresh.filter(|fresh| Some(&fresh.value) != refusal.sent);
        let fresh = fresh.ok_or_else(|| refused(place, refusal, found))?;
        if KEPT_MOST <= held.len() {
            held.clear();
        }
        held.insert(place.key(), fresh.clone());
        Ok(fresh.value)
    }

    /// Where credentials of a registry come from, or could.
    pub(super) async fn looked(&self, place: &Place) -> Result<Looked, RegistryError> {
        Ok(self.files.find(&place.host, &place.name).await?.looked)
    }

    async fn token(
        &self,
        transport: &Transport,
        place: &Place,
        challenge: &Challenge,
        found: &Found,
        refusal: &Refusal<'_>,
    ) -> Result<Option<Held>, RegistryError> {
        let realm = challenge.parameter("realm").and_then(|realm| Url::parse(realm).ok());
        let Some(realm) = realm.filter(|realm| realm.host_str().is_some()) else {
            return Err(RegistryError::Token {
                host: place.host.clone(),
                problem: "has no URL: the `realm` of the challenge is none",
            });
        };
        let secret = found.credential.is_some();
        if is_open(&realm) && (secret || !place.plain) {
            let from = refusal.line.clone();
            return Err(RegistryError::PlainHttp { from, to: origin(&realm) });
        }
        let mut scopes = place.scopes.clone();
        let more =
            challenge.parameter("scope").filter(|scope| !scopes.iter().any(|it| it == scope));
        if challenge.parameter("error") == Some("insufficient_scope") || scopes.is_empty() {
            scopes.extend(more.map(str::to_owned));
        }
        let service = challenge.parameter("service");
        let call = TokenCall::new(realm, service, &scopes, found.credential.as_ref());
        let response =
            transport.once(&call.method, &call.url, &call.headers, &call.payload).await?;
        let (line, status) = (RequestLine::of(&call.method, &call.url), response.status());
        let headers = response.headers().clone();
        let body = Zeroizing::new(
            transport.whole(response.into_body(), TOKEN_MOST, &line).await?.to_vec(),
        );
        let host = origin(&call.url);
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
                let refusal = Refusal { line: &line, headers: &headers, body: &body, sent: None };
                return Err(refused(place, &refusal, found.clone()));
            }
            _ => return Err(super::answer_error(line, status, &headers, &body)),
        }
        // Its own text may repeat a part of the token.
        let document: Document =
            serde_json::from_slice(&body).map_err(|_secret_inside: serde_json::Error| {
                RegistryError::Token { host: host.clone(), problem: "does not answer with JSON" }
            })?;
        let life = document.expires_in.map_or(LIFE, Duration::from_secs).min(LIFE_MOST);
        let token = document.token.or(document.access_token).filter(|token| !token.is_empty());
        let held = token.and_then(|token| held_bearer(&SecretString::from(token.as_str()), life));
        held.map(Some).ok_or(RegistryError::Token { host, problem: "answers without a token" })
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    token: Option<Zeroizing<String>>,
    #[serde(default)]
    access_token: Option<Zeroizing<String>>,
    #[serde(default)]
    expires_in: Option<u64>,
}

struct TokenCall {
    method: Method,
    url: Url,
    headers: HeaderMap,
    payload: Payload,
}

impl TokenCall {
    /// `GET` with name and password, or the exchange of an identity token (OAuth 2) by `POST`.
    fn new(
        mut url: Url,
        service: Option<&str>,
        scopes: &[String],
        credential: Option<&Credential>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        if let Some(Credential::Identity(token)) = credential {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token").append_pair("client_id", CLIENT);
            form.append_pair("service", service.unwrap_or_default());
            form.append_pair("scope", &scopes.join(" "));
            form.append_pair("refresh_token", token.expose_secret());
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(header::CONTENT_TYPE, kind);
            let payload = Payload::Bytes(Bytes::from(form.finish()));
            return Self { method: Method::POST, url, headers, payload };
        }
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = service {
                query.append_pair("service", service);
            }
            for scope in scopes {
                query.append_pair("scope", scope);
            }
        }
        if let Some(Credential::Password { user, password }) = credential {
            url.query_pairs_mut().append_pair("account", user);
            headers.insert(header::AUTHORIZATION, basic(user, password));
        }
        Self { method: Method::GET, url, headers, payload: Payload::EMPTY }
    }
}

fn refused(place: &Place, refusal: &Refusal<'_>, found: Found) -> RegistryError {
    let mut complaints = complaints(refusal.body);
    complaints.retain(|complaint| *complaint != Complaint::EMPTY);
    RegistryError::Unauthorized(Box::new(Unauthorized {
        request: refusal.line.clone(),
        host: place.host.clone(),
        complaints,
        looked: found.looked,
    }))
}

fn basic(user: &str, password: &SecretString) -> HeaderValue {
    let pair = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    // Base64 is always a header's value.
    let mut value = HeaderValue::try_from(text.as_str())
        .unwrap_or_else(|_never| HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

/// Nothing when the token cannot stand in a header.
fn held_bearer(token: &SecretString, life: Duration) -> Option<Held> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    let mut value = HeaderValue::try_from(text.as_str()).ok()?;
    value.set_sensitive(true);
    Some(Held { value, until: Instant::now() + life.saturating_sub(MARGIN) })
}

/// Whether others can read what is sent there.
fn is_open(url: &Url) -> bool {
    url.scheme() != "https" && !is_loopback(url.host_str().unwrap_or_default())
}
