//! A key is of its caller: nobody gets by it what another one was answered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use updraft::testing::TestApp;

use crate::cases::is_replayed;
use crate::payments::{Till, who};

const SECRET: &str = "a secret of thirty-two characters";

/// A token of this subject (RFC 7519), good for long.
fn token(subject: &str) -> String {
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let head = part(json!({ "alg": "HS256", "typ": "JWT" }));
    let claims = part(json!({ "sub": subject, "aud": "till", "exp": 9_999_999_999_u64 }));
    let signed = format!("{head}.{claims}");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = ring::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[updraft::test(
    kinds = ["sqlite", "postgres"],
    vars = [("AUTH_AUDIENCE", "till"), ("AUTH_SECRET", "a secret of thirty-two characters")]
)]
async fn callers_with_the_same_key_get_their_own_answers(t: TestApp<Till>) {
    let ask = || t.call::<who>().idempotency_key("k");
    for _first_and_again in 0..2 {
        assert_eq!(ask().await.status(200).text(), "nobody with k");
        for subject in ["ann", "bob"] {
            let answer = ask().bearer(&token(subject)).await.status(200);
            assert_eq!(answer.text(), format!("{subject} with k"));
        }
        assert_eq!(ask().scopes(["any"]).await.status(200).text(), "test with k");
    }
    assert!(is_replayed(&ask().bearer(&token("ann")).await));
    // Whose token is not good gets nobody's answer.
    ask().bearer("forged").await.status(401);
}
