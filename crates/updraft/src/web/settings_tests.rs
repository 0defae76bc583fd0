//! What is accepted of the environment, and what is refused before anything listens.

use super::*;

fn read(variables: &[(&str, &str)], wanted: Wanted) -> Result<WebSettings, String> {
    let mut config = Config::from_variables(
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    WebSettings::read(&mut config, wanted).map_err(|_invalid| config.report().unwrap().to_string())
}

#[test]
fn there_is_one_place_to_listen_on_and_a_web_process_needs_it() {
    let ours = std::process::id().to_string();
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("PORT", "80")], "Some(Tcp(127.0.0.1:80))"),
        (&[("PORT", "80"), ("HOST", "::")], "Some(Tcp([::]:80))"),
        (&[("LISTEN", "systemd")], "Some(HandedOver)"),
        (&[("LISTEN_PID", ours.as_str()), ("LISTEN_FDS", "1")], "Some(HandedOver)"),
        // Meant for another process, so the port counts.
        (&[("LISTEN_PID", "1"), ("LISTEN_FDS", "1"), ("PORT", "80")], "Some(Tcp(127.0.0.1:80))"),
        (
            &[("LISTEN", "unix:/run/x.sock"), ("LISTEN_MODE", "600"), ("PORT", "80")],
            "Some(Unix { path: \"/run/x.sock\", mode: SocketMode(384) })",
        ),
    ];
    for (variables, listen) in cases {
        let settings = read(variables, Wanted::Yes).unwrap();
        assert_eq!(format!("{:?}", settings.listen), *listen, "{variables:?}");
    }
    assert!(read(&[], Wanted::Yes).unwrap_err().contains("PORT is not set"));
    assert!(read(&[], Wanted::IfAsked).unwrap().listen.is_none());
    assert!(read(&[("PORT", "80")], Wanted::No).unwrap().listen.is_none());
}

#[test]
fn a_wrong_socket_is_one_problem_and_not_also_a_missing_port() {
    for wrong in ["unix:relative.sock", "unix:", "tcp:80", "/run/x.sock"] {
        let report = read(&[("LISTEN", wrong)], Wanted::Yes).unwrap_err();
        assert!(report.starts_with("1 environment variable is wrong"), "{wrong}: {report}");
        assert!(report.contains("LISTEN "), "{wrong}: {report}");
    }
}

#[test]
fn every_wrong_bound_is_in_one_report() {
    let wrong = [
        ("PORT", "80"),
        ("MAX_CONNECTIONS", "0"),
        ("MAX_HEADER_BYTES", "100"),
        ("HEADER_TIMEOUT", "soon"),
        ("MAX_REQUESTS", "none"),
        ("RATE_LIMIT", "100"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("CORS_ORIGINS", "shop.example"),
        ("LISTEN_MODE", "888"),
    ];
    let report = read(&wrong, Wanted::Yes).unwrap_err();
    for (variable, _) in &wrong[1..] {
        assert!(report.contains(&format!("{variable} ")), "{variable}: {report}");
    }
}

#[test]
fn every_origin_with_credentials_is_refused() {
    let both = [("PORT", "80"), ("CORS_ORIGINS", "*"), ("CORS_CREDENTIALS", "true")];
    assert!(read(&both, Wanted::Yes).unwrap_err().contains("CORS_ORIGINS allows every origin"));
    assert!(read(&both[..2], Wanted::Yes).unwrap().cors.is_some());
    assert!(read(&both[..1], Wanted::Yes).unwrap().cors.is_none());
}

#[test]
fn no_time_for_a_request_means_for_ever() {
    let settings = read(&[("PORT", "80"), ("REQUEST_TIMEOUT", "0s")], Wanted::Yes).unwrap();
    assert_eq!(settings.limits.request_time, None);
    let settings = read(&[("PORT", "80")], Wanted::Yes).unwrap();
    assert_eq!(settings.limits.request_time, Some(Duration::from_secs(30)));
}
