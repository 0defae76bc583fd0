//! An OpenID provider (OpenID Connect Discovery 1.0) that keeps its address while it is away.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// A key of the provider (RFC 8037).
pub(crate) struct Key {
    pair: Ed25519KeyPair,
    kid: String,
}

impl Key {
    pub(crate) fn new(kid: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        Self { pair, kid: kid.to_owned() }
    }

    fn jwk(&self) -> Value {
        let x = B64.encode(self.pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x, "use": "sig" })
    }

    /// A token of this provider that is good for long (RFC 7519).
    pub(crate) fn token(&self, provider: &Provider, subject: &str) -> String {
        let part = |value: Value| B64.encode(value.to_string());
        let head = part(json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.kid }));
        let claims = part(json!({
            "iss": provider.url, "aud": "library", "sub": subject, "scope": "books:write",
            "exp": 9_999_999_999_u64,
        }));
        let signed = format!("{head}.{claims}");
        let tag = B64.encode(self.pair.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{tag}")
    }
}

/// The provider. It answers 503 while it is away.
pub(crate) struct Provider {
    pub(crate) url: String,
    keys: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    /// One that is away.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(None::<String>));
        let asked = Arc::new(AtomicUsize::new(0));
        let provider = Self { url: url.clone(), keys: Arc::clone(&keys), asked: asked.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).unwrap_or_default();
                let (status, body) = match &*keys.lock().unwrap() {
                    None => ("503 Service Unavailable", String::new()),
                    Some(keys) if head[..length].starts_with(b"GET /keys ") => {
                        asked.fetch_add(1, Ordering::SeqCst);
                        ("200 OK", keys.clone())
                    }
                    Some(_) => {
                        let document = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
                        ("200 OK", document.to_string())
                    }
                };
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
                drop(write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}"));
            }
        });
        provider
    }

    /// It has these keys from now on.
    pub(crate) fn has(&self, keys: &[&Key]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        *self.keys.lock().unwrap() = Some(json!({ "keys": keys }).to_string());
    }

    pub(crate) fn goes_away(&self) {
        *self.keys.lock().unwrap() = None;
    }

    /// How often it was asked for its keys.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
