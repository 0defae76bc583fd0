//! The net that secrets fall into: by name, in URLs, in headers; and what passes it.

use proptest::prelude::*;

use super::*;

#[test]
fn names_of_secrets_are_known_in_every_spelling() {
    for name in [
        "password",
        "db_password",
        "DB_PASSWORD",
        "dbPassword",
        "token",
        "access_token",
        "accessToken",
        "authorization",
        "Proxy-Authorization",
        "cookie",
        "set-cookie",
        "api_key",
        "apiKey",
        "x-api-key",
        "X-API-KEY",
        "client_secret",
        "secret_key",
        "private.key",
        "aws_secret_access_key",
        "session_id",
        "credentials",
    ] {
        assert!(is_secret(name), "{name}");
    }
    for name in [
        "",
        "message",
        "tokens",
        "max_tokens",
        "key",
        "monkey",
        "author",
        "route",
        "status",
        "passwordless",
        "secretary",
        "_",
        "cookies_seen",
    ] {
        assert!(!is_secret(name), "{name}");
    }
}

#[test]
fn secrets_inside_of_texts_are_cut_out_and_nothing_else() {
    for (text, clean) in [
        ("postgres://u:canary@h:5432/db", "postgres://[redacted]@h:5432/db"),
        ("postgres://canary@h/db?password=canary", "postgres://[redacted]@h/db?[redacted]"),
        ("at http://h/p?k=canary#canary, twice", "at http://h/p?[redacted] twice"),
        ("http://h/p#canary", "http://h/p#[redacted]"),
        ("http://u:can/ary@h/p", "http://[redacted]@h/p"),
        ("http://u:can?ary@h/p", "http://[redacted]@h/p"),
        (
            "two http://a:canary@b, http://c:canary@d",
            "two http://[redacted]@b, http://[redacted]@d",
        ),
        ("http://u:1/canary@h/p", "http://[redacted]@h/p"),
        ("http://u:can@ary/canary@h/p", "http://[redacted]@h/p"),
        ("http://h/@scope/p", "http://h/@scope/p"),
        ("http://h:80/p", "http://h:80/p"),
        ("http://[::1]:80/p", "http://[::1]:80/p"),
        ("password=canary", "password=[redacted]"),
        ("password = canary and more", "password = [redacted] and more"),
        (r#"{"password": "can\"ary", "x": 1}"#, r#"{"password": [redacted], "x": 1}"#),
        (r#"Login { password: Some("canary"), id: 3 }"#, "Login { password: [redacted], id: 3 }"),
        (r#"key { secret: [1, 2, 3], id: 3 }"#, "key { secret: [redacted], id: 3 }"),
        (r#"{"authorization": "Bearer canary"}"#, r#"{"authorization": [redacted]}"#),
        ("Authorization: Bearer canary\nHost: h", "Authorization: [redacted]\nHost: h"),
        ("Authorization: Basic Y2FuYXJ5", "Authorization: [redacted]"),
        ("it said Bearer canarycanary.", "it said Bearer [redacted]"),
        ("GET /login?user=a&token=canary&x=1", "GET /login?user=a&token=[redacted]&x=1"),
        ("token: canary", "token: [redacted]"),
        ("secret: \u{e4}\u{f6}canary\u{fc}", "secret: [redacted]"),
        ("password: \"canary", "password: [redacted]"),
    ] {
        assert_eq!(scrubbed(text), clean, "{text}");
        assert!(!clean.contains("canary"));
    }
    for text in [
        "",
        "hello",
        "a: b",
        "x=1",
        "is it?",
        "#1",
        "token::Kind",
        "crate::password::check",
        "what? http is",
        "the bearer of",
        "see http://h/p for more",
        "password",
    ] {
        assert!(matches!(scrubbed(text), Cow::Borrowed(same) if same == text), "{text}");
    }
}

#[test]
fn a_redacted_value_shows_itself_to_nobody() {
    let hidden = Redacted::new("canary");
    let shown = format!("{hidden} {hidden:?} {:#?}", Some(hidden));
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(serde_json::to_string(&hidden).unwrap(), "\"[redacted]\"");
    assert_eq!(serde_json::from_str::<Redacted<u8>>("7").unwrap().into_inner(), 7);
}

proptest! {
    #[test]
    fn no_text_is_a_reason_to_fail_and_what_is_clean_stays_clean(text in any::<String>()) {
        let once = scrubbed(&text).into_owned();
        drop(scrubbed(&once));
    }

    #[test]
    fn the_password_of_a_url_never_passes(
        before in "[ a-z:=?#\"]{0,12}",
        password in "[a-zA-Z0-9:/?#&=.;,!$()*+_~-]{0,10}canary[a-zA-Z0-9:/?#&=.;,!$()*+_~-]{0,10}",
        after in "[ a-z:=?#\"/]{0,12}",
    ) {
        let text = format!("{before}amqp://user:{password}@host{after}");
        prop_assert!(!scrubbed(&text).contains("canary"), "{} -> {}", text, scrubbed(&text));
    }
}
