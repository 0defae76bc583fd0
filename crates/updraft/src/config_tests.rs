//! What is read from which variable, and what the report says.

use std::time::Duration;

use super::*;

fn config(variables: &[(&str, &str)]) -> Config {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Config::from_variables(variables.iter().map(own))
}

/// A file of this test alone.
fn file(content: &[u8]) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

#[test]
fn a_default_holds_when_the_variable_is_missing_or_empty() {
    for variables in [&[][..], &[("SPAN", "")][..]] {
        let span = config(variables).or("SPAN", Duration::from_secs(5), "a span");
        assert_eq!(span, Ok(Duration::from_secs(5)));
    }
}

#[test]
fn a_malformed_optional_variable_is_not_taken_for_a_missing_one() {
    let mut config = config(&[("COUNT", "many")]);
    assert!(config.optional::<u16>("COUNT", "a count").is_err());
    assert!(config.report().is_some());
}

#[test]
fn a_report_names_every_problem_and_no_value() {
    let mut config = config(&[
        ("COUNT", "canary-1"),
        ("SPAN", "canary-2"),
        ("DB_URL", "postgres://user:canary-3@host/db?password=canary-4"),
        ("PEER_URL", "http://user:canary-5@host"),
    ]);
    config.require::<u16>("COUNT", "a count").unwrap_err();
    config.or("SPAN", Duration::ZERO, "a span").unwrap_err();
    drop(config.require::<crate::SqlUrl>("DB_URL", "the database"));
    config.require::<crate::ServiceUrl>("PEER_URL", "a peer").unwrap_err();
    config.require::<String>("MISSING", "a text").unwrap_err();
    let report = config.report().unwrap().to_string();
    for variable in ["COUNT", "SPAN", "PEER_URL", "MISSING"] {
        assert!(report.contains(variable), "{report}");
    }
    assert!(!report.contains("canary"), "{report}");
}

#[test]
fn a_report_says_what_is_wrong_what_it_is_what_it_should_be_and_an_example() {
    let mut config = config(&[("PROT", "80")]);
    config.require::<u16>("PORT", "the TCP port to listen on").unwrap_err();
    let expected = "1 environment variable is wrong

  PORT is not set
    what it is: the TCP port to listen on
    set it to a whole number from 0 to 65535, such as 8080
    for example: PORT=8080

  PROT is set and nothing reads it; did you mean PORT?";
    let report = config.report().unwrap();
    assert_eq!(report.to_string(), expected);
    let coloured = report.in_colour().to_string();
    assert!(coloured.contains("\x1b[1;31mPORT\x1b[0m is not set"), "{coloured:?}");
}

#[test]
fn a_variable_may_come_from_a_file_without_one_line_feed_at_its_end() {
    for (content, text) in
        [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("a\r", "a\r")]
    {
        let (_file, path) = file(content.as_bytes());
        let mut config = config(&[("NAME_FILE", &path)]);
        assert_eq!(config.require::<String>("NAME", "a name"), Ok(text.to_owned()), "{content:?}");
        assert_eq!(config.near_misses(), []);
    }
    let (_file, path) = file(b"8080\n");
    assert_eq!(config(&[("PORT_FILE", &path)]).or::<u16>("PORT", 1, "a port"), Ok(8080));
}

#[test]
fn a_file_that_cannot_be_used_is_a_problem_of_its_variable() {
    let longest = usize::try_from(environment::FILE_MOST).unwrap();
    let (_exact, exact) = file(&vec![b'a'; longest]);
    assert!(config(&[("NAME_FILE", &exact)]).require::<String>("NAME", "a name").is_ok());

    let (_long, long) = file(&vec![b'a'; longest + 1]);
    let (_empty, empty) = file(b"\n");
    let (_binary, binary) = file(&[0xff]);
    for (path, wrong) in [
        (long.as_str(), "more than 65536 bytes"),
        (&empty, "is empty"),
        (&binary, "not Unicode"),
        ("/canary/not/there", "is not there"),
        ("/tmp", "not a regular file"),
        ("/dev/zero", "not a regular file"),
    ] {
        let mut config = config(&[("NAME_FILE", path)]);
        config.optional::<String>("NAME", "a name").unwrap_err();
        let report = config.report().unwrap();
        assert_eq!(report.variables().collect::<Vec<_>>(), ["NAME_FILE"]);
        let text = report.to_string();
        assert!(text.contains(wrong) && !text.contains("canary"), "{text}");
        assert!(text.contains("for example: NAME_FILE=/run/secrets/name"), "{text}");
    }
    let (_text, text) = file(b"canary");
    let mut config = config(&[("COUNT_FILE", &text)]);
    config.require::<u16>("COUNT", "a count").unwrap_err();
    let report = config.report().unwrap().to_string();
    assert!(
        report.contains("COUNT_FILE names a file whose text is not a whole number"),
        "{report}"
    );
    assert!(!report.contains("canary"), "{report}");
}

#[test]
fn a_variable_that_is_set_in_both_ways_is_a_problem() {
    let (_file, path) = file(b"a");
    let mut config = config(&[("NAME", "a"), ("NAME_FILE", &path)]);
    config.require::<String>("NAME", "a name").unwrap_err();
    assert!(config.report().unwrap().to_string().contains("NAME is set twice"));
}

#[test]
fn a_variable_that_two_parts_of_the_chassis_read_is_reported_and_listed_once() {
    let mut config = config(&[("COUNT", "many")]);
    config.require::<u16>("COUNT", "a count").unwrap_err();
    config.or::<u8>("COUNT", 3, "a count").unwrap_err();
    assert_eq!(config.report().unwrap().variables().count(), 1);
    assert_eq!(config.declared().len(), 1);
}

#[test]
fn a_variable_with_file_in_its_own_name_is_no_file_of_another() {
    let mut config = config(&[("CERT", "text"), ("CERT_FILE", "/run/cert.pem")]);
    let path = config.require::<std::path::PathBuf>("CERT_FILE", "where the certificate is");
    assert_eq!(path, Ok("/run/cert.pem".into()));
    assert_eq!(config.require::<String>("CERT", "a text"), Ok("text".to_owned()));
}

#[test]
fn a_default_with_a_secret_is_shown_nowhere() {
    let mut config = config(&[]);
    let mut spec = FieldSpec::new("key", "KEY", "KEY_URL", "A key");
    spec.default = Some("canary");
    let key = config.app_field::<Secret>(&spec).unwrap();
    assert_eq!(key.expose(), "canary");
    spec = FieldSpec::new("peer", "PEER", "PEER_URL", "A peer");
    spec.default = Some("https://user:canary@peer.example/");
    config.app_field::<url::Url>(&spec).unwrap();
    let shown = [config.explanation(), config.help(), config.example()].concat();
    assert!(!shown.contains("canary") && shown.contains("https://peer.example/"), "{shown}");
    let mut wrong = Config::from_os_variables([("PEER".into(), "no".into())]);
    wrong.app_field::<url::Url>(&spec).unwrap_err();
    let report = wrong.report().unwrap().to_string();
    assert!(!report.contains("canary"), "{report}");
}

#[test]
fn what_is_not_unicode_is_not_taken_for_missing() {
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![b'1', 0xff]);
    let mut config = Config::from_os_variables([("COUNT".into(), value)]);
    config.or::<u16>("COUNT", 3, "a count").unwrap_err();
    assert!(config.report().unwrap().to_string().contains("COUNT is not Unicode text"));
}

#[test]
fn a_secret_is_never_shown_and_its_file_is_read_again() {
    let (file, path) = file(b"canary-1\n");
    let mut config = config(&[("KEY_FILE", &path), ("PASS", "canary-2")]);
    let key: Secret = config.require("KEY", "a key").unwrap();
    let pass: Secret = config.require("PASS", "a password").unwrap();
    assert_eq!((key.expose(), pass.expose()), ("canary-1", "canary-2"));
    std::fs::write(file.path(), "canary-3\n").unwrap();
    let now = key.current().unwrap();
    assert_eq!((now.expose(), key.expose()), ("canary-3", "canary-1"));
    assert_eq!(pass.current().unwrap().expose(), "canary-2");
    std::fs::write(file.path(), "canary-4\n").unwrap();
    assert_eq!(now.current().unwrap().expose(), "canary-4");
    drop(file);
    let error = now.current().unwrap_err();
    let shown =
        format!("{key} {key:?} {pass:?} {} {error} {error:?} {config:?}", config.explanation());
    assert!(!shown.contains("canary"), "{shown}");
}

/// Declarations that no environment can make right.
#[derive(crate::App)]
struct Unsound {
    /// A default that is no number
    #[env(default = "many")]
    count: u16,
    /// A default out of its range
    #[env(default = "10s", range = "1s"..="5s")]
    span: Duration,
    /// A range that is none
    #[env(range = "1"..="few")]
    few: Option<u16>,
    /// A variable of the chassis
    host: Option<String>,
    /// All is well here
    #[env(default = 3)]
    fine: u16,
    /// And here, where nothing is set
    required: String,
}

#[test]
fn declarations_that_cannot_be_are_found_in_any_environment() {
    let report = Config::declarations_of::<Unsound>().unwrap_err();
    assert_eq!(report.variables().collect::<Vec<_>>(), ["COUNT", "SPAN", "FEW", "HOST"]);
    let text = report.to_string();
    assert!(text.contains("COUNT has a default that is not a whole number"), "{text}");
    assert!(text.contains("SPAN has a default that is not from 1s to 5s"), "{text}");
    assert!(text.contains("HOST is read by the chassis or another field too"), "{text}");
    let mut set = config(&[("COUNT", "5"), ("REQUIRED", "x")]);
    assert!(Unsound::read(&mut set).is_err());
    assert!(set.report().unwrap().to_string().contains("COUNT has a default"));
    let app = Unsound {
        count: 0,
        span: Duration::ZERO,
        few: None,
        host: None,
        fine: 0,
        required: String::new(),
    };
    assert_eq!(
        (app.count, app.span, app.few, app.host, app.fine, app.required.len()),
        (0, Duration::ZERO, None, None, 0, 0)
    );
}

#[test]
fn an_example_of_all_variables_can_be_read_again() {
    let declare = |config: &mut Config| {
        let mut spec = FieldSpec::new("days", "DAYS", "DAYS_URL", "Days");
        spec.range = Some(Bounds::of::<u16>(Some("1"), Some("365")));
        let _days = config.app_field::<u16>(&spec);
        let mut spec = FieldSpec::new("note", "NOTE", "NOTE_URL", "A note");
        spec.example = Some("it's a \"note\" # of $HOME");
        let _note = config.app_field::<String>(&spec);
        let _span = config.or("SPAN", Duration::from_secs(90), "a span");
        let _size = config.optional::<ByteSize>("SIZE", "a size");
        let _port = config.require::<u16>("PORT", "a port");
    };
    let mut empty = config(&[]);
    declare(&mut empty);
    let text = empty.example();
    // A shell is the judge of what can be copied.
    let script = format!(
        "set -a\n{}\nenv -0",
        text.replace("\n#SPAN", "\nSPAN").replace("\n#SIZE", "\nSIZE")
    );
    let output =
        std::process::Command::new("sh").args(["-c", &script]).env_clear().output().unwrap();
    assert!(output.status.success(), "{text}");
    let variables = String::from_utf8(output.stdout).unwrap();
    let variables = variables.split('\0').filter_map(|it| it.split_once('='));
    let mut again =
        Config::from_variables(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    declare(&mut again);
    assert_eq!(again.report(), None, "{text}");
    let explained = again.explanation();
    assert!(explained.contains("it's a \"note\" # of $HOME"), "{explained}");
    assert_eq!(explained.matches("environment").count(), 5, "{explained}");
}
