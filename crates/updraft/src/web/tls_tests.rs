//! What of TLS is refused before anything listens, and that no secret is in what is said.

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (cert.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn read(variables: &[(&str, &str)]) -> Result<Option<TlsSettings>, String> {
    let mut config = Config::from_variables(
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    TlsSettings::read(&mut config).map_err(|_invalid| config.report().unwrap().to_string())
}

#[test]
fn certificates_and_keys_that_cannot_be_served_are_in_the_report() {
    let ((cert, key), (_, other_key)) = (pair(), pair());
    assert!(read(&[]).unwrap().is_none());
    assert!(read(&[("TLS_CERT", &cert), ("TLS_KEY", &key)]).unwrap().is_some());
    let broken_key = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("TLS_CERT", &cert)], "TLS_KEY is not set"),
        (&[("TLS_KEY", &key)], "TLS_CERT is not set"),
        (&[("TLS_CLIENT_CA", &cert)], "TLS_CERT is not set"),
        (&[("TLS_CERT", &cert), ("TLS_KEY", &other_key)], "TLS_CERT cannot be served"),
        (&[("TLS_CERT", &cert), ("TLS_KEY", broken_key)], "TLS_KEY holds a private key of a kind"),
        (&[("TLS_CERT", &cert), ("TLS_KEY", &cert)], "TLS_KEY holds no private key"),
        (&[("TLS_CERT", "canary"), ("TLS_KEY", &key)], "TLS_CERT is not PEM"),
        (&[("TLS_CERT", &key), ("TLS_KEY", &key)], "TLS_CERT holds no certificate"),
        (&[("TLS_CERT", &cert), ("TLS_KEY_FILE", "/nowhere")], "TLS_KEY names a file"),
        (
            &[("TLS_CERT", &cert), ("TLS_KEY", &key), ("TLS_KEY_FILE", "/nowhere")],
            "TLS_KEY is set both",
        ),
        (
            &[("TLS_CERT", &cert), ("TLS_KEY", &key), ("TLS_CLIENT_CA", &key)],
            "TLS_CLIENT_CA holds no certificate",
        ),
    ];
    let secret = key.lines().nth(1).unwrap();
    for (variables, said) in cases {
        let report = read(variables).unwrap_err();
        assert!(report.contains(said), "{said}: {report}");
        assert!(!report.contains("canary") && !report.contains(secret), "{report}");
    }
}
