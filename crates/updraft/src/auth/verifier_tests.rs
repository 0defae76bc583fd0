//! Tokens of every kind that somebody may send, signed by keys that are made here.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;
use crate::Config;
use crate::auth::key::Algorithm;

/// A key to sign by.
enum Signer {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
}

impl Signer {
    fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    fn ecdsa(algorithm: &'static signature::EcdsaSigningAlgorithm) -> EcdsaKeyPair {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap()
    }

    fn p256() -> Self {
        Self::P256(Self::ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING))
    }

    fn p384() -> Self {
        Self::P384(Self::ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING))
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
        }
    }

    fn sign(&self, text: &str) -> String {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(pair) => B64.encode(pair.sign(text.as_bytes())),
            Self::P256(pair) | Self::P384(pair) => {
                B64.encode(pair.sign(&random, text.as_bytes()).unwrap())
            }
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        let ec = |pair: &EcdsaKeyPair, crv: &str| {
            let point = pair.public_key().as_ref();
            let (x, y) = point[1..].split_at((point.len() - 1) / 2);
            json!({ "kty": "EC", "crv": crv, "kid": kid, "x": B64.encode(x), "y": B64.encode(y) })
        };
        match self {
            Self::Ed25519(pair) => {
                let x = B64.encode(pair.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x, "use": "sig" })
            }
            Self::P256(pair) => ec(pair, "P-256"),
            Self::P384(pair) => ec(pair, "P-384"),
        }
    }

    fn token(&self, kid: &str, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm(), "kid": kid, "typ": "at+jwt" });
        let signed = unsigned(&header, claims);
        format!("{signed}.{}", self.sign(&signed))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()))
}

/// Good claims with these in place of some.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://issuer.test", "sub": "ann", "aud": "orders", "exp": now() + 600.0,
        "scope": "orders:read orders:write",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn verifier(variables: &[(&str, &str)]) -> Verifier {
    let all = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut config = Config::from_variables(all);
    let settings = AuthSettings::read(&mut config);
    let settings = settings.unwrap_or_else(|_invalid| panic!("{}", config.report().unwrap()));
    Verifier::new(settings, &Metrics::default()).unwrap()
}

fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn of_keys(keys: &[Value]) -> Verifier {
    verifier(&[
        ("AUTH_ISSUER", "https://issuer.test"),
        ("AUTH_AUDIENCE", "orders,stock"),
        ("AUTH_JWKS", &jwks(keys)),
        ("AUTH_ALGORITHMS", "RS256,ES256,ES384,EdDSA"),
    ])
}

async fn outcome(verifier: &Verifier, token: &str) -> Result<Caller, Refused> {
    let Keys::Given(keys) = &verifier.keys else { panic!("they are given") };
    verifier.by_keys(token, keys, 0, now()).await
}

#[tokio::test]
async fn a_token_of_each_kind_of_key_names_its_caller() {
    for signer in [Signer::ed25519(), Signer::p256(), Signer::p384()] {
        let verifier = of_keys(&[Signer::ed25519().jwk("other"), signer.jwk("k1")]);
        let token = signer.token("k1", &claims(&json!({ "shop": "riga" })));
        for _first_and_again in 0..2 {
            let caller = verifier.verify(&token).await.unwrap();
            assert_eq!(caller.subject(), "ann");
            assert_eq!(caller.issuer(), Some("https://issuer.test"));
            assert!(caller.has_scope("orders:read") && !caller.has_scope("orders"));
            assert_eq!(caller.claims::<Value>().unwrap()["shop"], "riga");
        }
    }
}

#[tokio::test]
async fn claims_decide_to_the_letter() {
    let signer = Signer::ed25519();
    let verifier = of_keys(&[signer.jwk("k1")]);
    let cases = [
        (json!({}), None),
        (json!({ "exp": now() - 30.0 }), None),
        (json!({ "exp": now() - 61.0 }), Some(Refused::Expired)),
        (json!({ "exp": -1 }), Some(Refused::Expired)),
        (json!({ "exp": null }), Some(Refused::Claims)),
        (json!({ "exp": "tomorrow" }), Some(Refused::Claims)),
        (json!({ "nbf": now() + 30.0 }), None),
        (json!({ "nbf": now() + 90.0 }), Some(Refused::Early)),
        (json!({ "iss": "https://issuer.test/" }), Some(Refused::Issuer)),
        (json!({ "iss": null }), Some(Refused::Issuer)),
        (json!({ "aud": ["other", "stock"] }), None),
        (json!({ "aud": [] }), Some(Refused::Audience)),
        (json!({ "aud": "Orders" }), Some(Refused::Audience)),
        (json!({ "aud": "orders,stock" }), Some(Refused::Audience)),
        (json!({ "aud": null }), Some(Refused::Audience)),
        (json!({ "sub": null }), Some(Refused::Claims)),
        (json!({ "sub": 7 }), Some(Refused::Claims)),
        (json!({ "sub": "Jānis 🜁" }), None),
        (json!({ "scope": null, "scp": ["orders:read", "orders:write"] }), None),
    ];
    for (changes, expected) in cases {
        let token = signer.token("k1", &claims(&changes));
        let got = outcome(&verifier, &token).await;
        assert_eq!(got.as_ref().err(), expected.as_ref(), "{changes}");
        if let Ok(caller) = got {
            assert_eq!(caller.scopes(), ["orders:read", "orders:write"], "{changes}");
        }
    }
}

#[tokio::test]
async fn a_header_cannot_choose_how_it_is_verified() {
    let signer = Signer::ed25519();
    let verifier = of_keys(&[signer.jwk("k1")]);
    let cases = [
        (json!({ "alg": "none" }), Refused::Algorithm),
        (json!({ "alg": "None" }), Refused::Algorithm),
        (json!({ "alg": "" }), Refused::Algorithm),
        (json!({ "alg": "HS256" }), Refused::Algorithm),
        (json!({ "alg": "PS256" }), Refused::Algorithm),
        (json!({ "alg": "RS256" }), Refused::Key),
        (json!({ "alg": "ES256" }), Refused::Key),
        (json!({ "alg": "EdDSA", "kid": "k2" }), Refused::Key),
        (json!({ "alg": "EdDSA", "kid": "../k1" }), Refused::Key),
        (json!({ "alg": "EdDSA", "crit": ["exp"] }), Refused::Type),
        (json!({ "alg": "EdDSA", "typ": "logout+jwt" }), Refused::Type),
        (json!({ "alg": ["EdDSA"] }), Refused::Malformed),
        (json!({}), Refused::Malformed),
        (json!({ "alg": "EdDSA", "jwk": Signer::ed25519().jwk("k1"), "kid": "x" }), Refused::Key),
    ];
    for (header, expected) in cases {
        let signed = unsigned(&header, &claims(&json!({})));
        let token = format!("{signed}.{}", signer.sign(&signed));
        assert_eq!(outcome(&verifier, &token).await.unwrap_err(), expected, "{header}");
    }
}

#[tokio::test]
async fn every_damage_to_a_token_is_seen() {
    let signer = Signer::ed25519();
    let verifier = of_keys(&[signer.jwk("k1")]);
    let good = signer.token("k1", &claims(&json!({})));
    outcome(&verifier, &good).await.unwrap();
    for end in 0..good.len() {
        assert!(outcome(&verifier, &good[..end]).await.is_err(), "cut at {end}");
    }
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(outcome(&verifier, &changed).await.is_err(), "changed at {at}");
    }
    let huge = signer.token("k1", &claims(&json!({ "pad": "x".repeat(9000) })));
    for text in ["", ".", "..", "...", "a.b.c", "ā.ē.ī", " ", &format!("{good}."), &huge] {
        assert_eq!(outcome(&verifier, text).await.unwrap_err(), Refused::Malformed, "{text:.20}");
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret_to_sign_by() {
    // An RSA key as an issuer shows it: whoever signs by its text as if it were a secret …
    let n = B64.encode([0xc3_u8; 256]);
    let rsa = json!({ "kty": "RSA", "kid": "r", "n": n, "e": "AQAB" });
    let confused = |secret: &[u8]| {
        let signed = unsigned(&json!({ "alg": "HS256", "kid": "r" }), &claims(&json!({})));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        format!("{signed}.{}", B64.encode(hmac::sign(&key, signed.as_bytes())))
    };
    let plain = of_keys(std::slice::from_ref(&rsa));
    let secret = "a secret of at least 32 bytes....";
    // … is refused, whether HMACs are allowed beside it or not.
    let both = verifier(&[
        ("AUTH_AUDIENCE", "orders"),
        ("AUTH_JWKS", &jwks(std::slice::from_ref(&rsa))),
        ("AUTH_SECRET", secret),
    ]);
    for text in [rsa.to_string().into_bytes(), n.clone().into_bytes(), vec![0xc3; 256]] {
        assert_eq!(outcome(&plain, &confused(&text)).await.unwrap_err(), Refused::Algorithm);
        assert_eq!(outcome(&both, &confused(&text)).await.unwrap_err(), Refused::Signature);
    }
    outcome(&both, &confused(secret.as_bytes())).await.unwrap();
}

#[tokio::test]
async fn a_remembered_token_ends_in_time() {
    let signer = Signer::p256();
    let verifier = of_keys(&[signer.jwk("k1")]);
    let Keys::Given(keys) = &verifier.keys else { panic!("they are given") };
    let token = signer.token("k1", &claims(&json!({})));
    verifier.by_keys(&token, keys, 0, now()).await.unwrap();
    let later = verifier.by_keys(&token, keys, 0, now() + 700.0).await;
    assert_eq!(later.unwrap_err(), Refused::Expired);
}

#[tokio::test]
async fn a_refusal_tells_nothing_that_helps() {
    let signer = Signer::ed25519();
    let verifier = of_keys(&[signer.jwk("k1")]);
    let mut details = std::collections::BTreeSet::new();
    for changes in [json!({ "aud": "canary" }), json!({ "iss": "canary" }), json!({ "sub": null })]
    {
        let token = signer.token("k1", &claims(&changes));
        let problem = verifier.verify(&token).await.unwrap_err();
        assert_eq!(problem.status(), 401);
        details.insert(format!("{problem:?}"));
    }
    assert_eq!(details.len(), 1, "{details:?}");
    assert!(!details.first().unwrap().contains("canary"));
}

#[test]
fn what_may_be_signed_by_follows_from_what_there_are_keys_of() {
    let key = jwks(&[Signer::ed25519().jwk("k")]);
    let secret = ("AUTH_SECRET", "a secret of thirty-two characters");
    let issuer = ("AUTH_ISSUER", "https://login.test");
    for (more, hmac, others) in [
        (&[secret][..], true, false),
        // With a secret the issuer is not asked for keys.
        (&[secret, issuer], true, false),
        (&[secret, ("AUTH_JWKS", &key)], true, true),
        (&[("AUTH_JWKS", &key)], false, true),
    ] {
        let variables = [&[("AUTH_AUDIENCE", "a")], more].concat();
        let allowed = verifier(&variables).rules.algorithms;
        assert_eq!(allowed.contains(&Algorithm::Hs256), hmac, "{variables:?}");
        assert_eq!(allowed.contains(&Algorithm::Es256), others, "{variables:?}");
    }
}

#[test]
fn settings_that_would_be_open_by_accident_are_refused() {
    let key = jwks(&[Signer::ed25519().jwk("k")]);
    let secret = jwks(&[json!({ "kty": "oct", "k": "c2VjcmV0" })]);
    let private = jwks(&[json!({ "kty": "OKP", "crv": "Ed25519", "x": "", "d": "c2VjcmV0" })]);
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("AUTH_JWKS", &key)], "AUTH_AUDIENCE"),
        (&[("AUTH_AUDIENCE", "a")], "AUTH_AUDIENCE"),
        (&[("AUTH_AUDIENCE", "a"), ("AUTH_ISSUER", "http://login.test")], "AUTH_ISSUER"),
        (&[("AUTH_AUDIENCE", "a"), ("AUTH_ISSUER", "https://u:canary@login.test")], "AUTH_ISSUER"),
        (&[("AUTH_AUDIENCE", "a"), ("AUTH_JWKS", "{}")], "AUTH_JWKS"),
        (&[("AUTH_AUDIENCE", "a"), ("AUTH_JWKS", &secret)], "AUTH_JWKS"),
        (&[("AUTH_AUDIENCE", "a"), ("AUTH_JWKS", &private)], "AUTH_JWKS"),
        (&[("AUTH_AUDIENCE", "a"), ("AUTH_SECRET", "canary")], "AUTH_SECRET"),
        (
            &[("AUTH_AUDIENCE", "a"), ("AUTH_JWKS", &key), ("AUTH_ALGORITHMS", "HS256")],
            "AUTH_ALGORITHMS",
        ),
        (
            &[("AUTH_AUDIENCE", "a"), ("AUTH_JWKS", &key), ("AUTH_ALGORITHMS", "none")],
            "AUTH_ALGORITHMS",
        ),
    ];
    for (variables, wrong) in cases {
        let all = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut config = Config::from_variables(all);
        assert!(AuthSettings::read(&mut config).is_err(), "{variables:?}");
        let report = config.report().unwrap().to_string();
        assert!(report.contains(wrong), "{report}");
        assert!(!report.contains("canary") && !report.contains("c2VjcmV0"), "{report}");
    }
}

/// An issuer that answers with these keys, or not at all.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Option<String>>>,
    calls: Arc<AtomicUsize>,
}

impl Issuer {
    fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(Some(jwks(keys))));
        let calls = Arc::new(AtomicUsize::new(0));
        let issuer = Self { url: url.clone(), keys: Arc::clone(&keys), calls: Arc::clone(&calls) };
        std::thread::spawn(move || {
            let mut stalled = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).unwrap_or_default();
                let of_keys = head[..length].starts_with(b"GET /keys ");
                calls.fetch_add(usize::from(of_keys), Ordering::SeqCst);
                let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
                let body = match keys.lock().unwrap().clone() {
                    Some(keys) if of_keys => keys,
                    Some(_) => discovery.to_string(),
                    None => {
                        stalled.push(stream);
                        continue;
                    }
                };
                let length = body.len();
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
                drop(write!(stream, "{head} {length}\r\n\r\n{body}"));
            }
        });
        issuer
    }

    fn set(&self, keys: Option<&[Value]>) {
        *self.keys.lock().unwrap() = keys.map(jwks);
    }

    /// A verifier that asks it until this is dropped.
    fn verifier(&self, cooldown: &str) -> (Arc<Verifier>, crate::drain::Drain) {
        let verifier = Arc::new(verifier(&[
            ("AUTH_ISSUER", &self.url),
            ("AUTH_AUDIENCE", "orders"),
            ("AUTH_KEYS_COOLDOWN", cooldown),
        ]));
        let drain = crate::drain::Drain::new(Duration::from_secs(1));
        let Keys::Issuer(keys) = &verifier.keys else { panic!("they are of the issuer") };
        let (keys, stop) = (Arc::clone(keys), drain.stop());
        let metrics = Arc::clone(&verifier.metrics);
        tokio::spawn(async move { keys.keep(&stop, &metrics, || {}).await });
        (verifier, drain)
    }

    fn token(&self, signer: &Signer, kid: &str) -> String {
        signer.token(kid, &claims(&json!({ "iss": self.url })))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_fetched_when_its_first_token_comes() {
    let (old, new) = (Signer::ed25519(), Signer::p256());
    let issuer = Issuer::start(&[old.jwk("old")]);
    let (verifier, _drain) = issuer.verifier("100ms");
    verifier.verify(&issuer.token(&old, "old")).await.unwrap();
    issuer.set(Some(&[new.jwk("new")]));
    let begun = std::time::Instant::now();
    while verifier.verify(&issuer.token(&new, "new")).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the new key never came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The old key is withdrawn, for tokens that are remembered too.
    let problem = verifier.verify(&issuer.token(&old, "old")).await.unwrap_err();
    assert_eq!(problem.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_keys_make_one_call_and_no_more() {
    let (own, stranger) = (Signer::ed25519(), Signer::ed25519());
    let issuer = Issuer::start(&[own.jwk("own")]);
    let (verifier, _drain) = issuer.verifier("1h");
    verifier.verify(&issuer.token(&own, "own")).await.unwrap();
    for number in 0..200 {
        let token = issuer.token(&stranger, &format!("made up {number}"));
        assert_eq!(verifier.verify(&token).await.unwrap_err().status(), 401);
    }
    assert_eq!(issuer.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_an_issuer_that_stalls_hold() {
    let own = Signer::ed25519();
    let issuer = Issuer::start(&[own.jwk("own")]);
    let (verifier, _drain) = issuer.verifier("100ms");
    verifier.verify(&issuer.token(&own, "own")).await.unwrap();
    issuer.set(None);
    let stranger = issuer.token(&Signer::ed25519(), "other");
    assert_eq!(verifier.verify(&stranger).await.unwrap_err().status(), 401);
    verifier.verify(&issuer.token(&own, "own")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_key_it_is_the_service_that_fails() {
    let own = Signer::ed25519();
    let issuer = Issuer::start(&[]);
    let (verifier, _drain) = issuer.verifier("1h");
    let problem = verifier.verify(&issuer.token(&own, "own")).await.unwrap_err();
    assert_eq!(problem.status(), 503);
}

#[test]
fn rsa_signatures_hold_for_the_way_they_were_made_alone() {
    use crate::auth::key::Algorithm;
    // Made by OpenSSL over the text `updraft`; the private key was thrown away.
    let n = "p2cOywLJMaqugMmwT66Y1qbwJOPA6j223NhDxnn7luH6OyRnOpnkQHiy-R6S1ybZxXCvwNF27U8JZl7YYAz0iUhAIsjirQCUe1LA-Q_6eUEVIq6W8sOkC6t1_JKlRpNwnsiMplV5rSvWGrRKUEhOBQGCznPJ9hpaDqaCV2A68SAxvhNGSAxdKme-akoga-KhwGCv0-axWvgz9-J_aOeL898jgDYEVGNinydZ2CPTWDBZpjNvZ89aYJ0dz33Do9DurwI3Lep6Y8Uydw-OWiRfWy1fVpgKH5iI27Fjy8p3QmuA_03JipJ9PqsYzyl8LIOtNVirntrcJ_rMy1Imu16BLw";
    let pkcs1 = "fIaGfrVATFdLnSujRE6io7iiVdfMuIASF759svuNYyL1l45KSOaXn7L2Op59S_Vm4IDRzX28IdcX7prOqM5wO4xngUEsJf9jYy48HkJyWDjhbKiR4Gth9vKNuLsBkVY1q2BfwC_3mVTf_cwbrwnZXnwWDAsCMJ3aV_H23BDZAZgVgVh9IX9BW9ldxga_Cc2BWsHyC1wFxD8yh5iDDYlLq1XfpqtOfnbe1h4GjugWD0_6IMuD2DIuRCTdTPLfFieI-0Wfd2jGGtFSuaNBD6pKIbB_QshGRJUu9gsAWbgRLa4Qc0eQ8vunmTaqCQloDbpos7dVmQlkr96-qo00BdEBqQ";
    let pss = "hQMwSLIT-SpaKVp6BJ5-H2ONS1NCZmbMEyNSyIm8oswTaspWQJkZF0S5c1uRcNU__fBnRo56zjjRyPTTccMmOE62IYytbFCabo-os6OBQ_e2d4atvdsKZKzWyKg8EFqZcuIhOoliwqGV_lYwkGJ8EPUvG35yV8zfhkq4J5hD-qOq-V2v8Ha5I_xMjrExpjyYYeKJ8GaPL2_BfZY3hCVaI7ryV0dvFCSFJKr2OMVmqglU0PCNxgUzBUXbhJhl4y9ov3Q1gwOBZGC_3K3EZY9KJfm9FaE1ygJ-r2j5bS_0-1I3yxBQUb76fO-psumAa99X6dR4-7xh9p2Fo2fUC8ZyMg";
    let set = |alg: Option<&str>| {
        let key = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": alg });
        KeySet::of_json(jwks(&[key]).as_bytes()).unwrap()
    };
    let check = |keys: &KeySet, algorithm, text: &[u8], signature: &str| {
        keys.check(algorithm, Some("any"), text, &B64.decode(signature).unwrap())
    };
    let any = set(None);
    assert_eq!(check(&any, Algorithm::Rs256, b"updraft", pkcs1), Checked::Good);
    assert_eq!(check(&any, Algorithm::Ps256, b"updraft", pss), Checked::Good);
    assert_eq!(check(&any, Algorithm::Rs256, b"updraft", pss), Checked::Bad);
    assert_eq!(check(&any, Algorithm::Ps256, b"updraft", pkcs1), Checked::Bad);
    assert_eq!(check(&any, Algorithm::Rs512, b"updraft", pkcs1), Checked::Bad);
    assert_eq!(check(&any, Algorithm::Rs256, b"updrafT", pkcs1), Checked::Bad);
    let ps_only = set(Some("PS256"));
    assert_eq!(check(&ps_only, Algorithm::Ps256, b"updraft", pss), Checked::Good);
    assert_eq!(check(&ps_only, Algorithm::Rs256, b"updraft", pkcs1), Checked::NoKey);
}
