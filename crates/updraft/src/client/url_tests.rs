//! What a service URL may be.

use super::*;

#[test]
fn what_is_shown_is_what_was_read() {
    for (text, shown) in [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://orders", "http://orders"),
        ("http://orders:80/", "http://orders"),
        ("http://orders/api/", "http://orders/api"),
        ("http://[::1]:81", "http://[::1]:81"),
        ("h2c://orders:8080", "h2c://orders:8080"),
        ("http://a:1, http://b:2/x", "http://a:1,http://b:2/x"),
        ("unix:/run/orders.sock", "unix:/run/orders.sock"),
        ("unix:///run/orders.sock", "unix:/run/orders.sock"),
    ] {
        let url = ServiceUrl::parse(text).unwrap();
        assert_eq!(url.show(), shown);
        assert_eq!(url.location().to_string(), shown);
        assert_eq!(ServiceUrl::parse(shown).unwrap(), url);
    }
}

#[test]
fn what_cannot_be_called_is_refused_without_being_repeated() {
    for wrong in [
        "",
        "canary:80",
        "http://",
        "http://canary:0",
        "http://user:canary@orders",
        "http://o/?canary",
        "http://o/#canary",
        "http://o,",
        "http://o,ftp://canary",
        "unix:canary",
        "unix:",
    ] {
        let error = ServiceUrl::parse(wrong).unwrap_err();
        assert!(!error.contains("canary"), "{error}");
    }
    let many = vec!["http://o"; 17].join(",");
    assert!(ServiceUrl::parse(&many).is_err());
}

#[test]
fn encryption_depends_on_the_build() {
    assert_eq!(ServiceUrl::parse("https://orders").is_ok(), cfg!(feature = "tls"));
}
