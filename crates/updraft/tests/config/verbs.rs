//! `config check`, `config explain`, `config example`, `attachments` and `--help`.

use crate::support::{SOUND, run, sound_and};

/// Every variable of the service and of the chassis that the tests know of.
const ALL: [&str; 15] = [
    "OVERDUE_DAYS",
    "CURRENCY",
    "MAIL_KEY",
    "REGION",
    "COUNTRIES",
    "DOCUMENT_SIZE",
    "PATIENCE",
    "REPORT_URL",
    "PRICING_URL",
    "PORT",
    "HOST",
    "DRAIN_DELAY",
    "SHUTDOWN_GRACE",
    "MAX_CONNECTIONS",
    "LOG_LEVEL",
];

#[test]
fn a_check_of_a_sound_environment_says_nothing_and_succeeds() {
    let check = run(&["config", "check"], &SOUND);
    assert_eq!((check.code, check.stdout.as_str(), check.stderr.as_str()), (Some(0), "", ""));
    let near = run(&["config", "check"], &sound_and(&[("REGIONN", "canary")]));
    assert_eq!((near.code, near.stdout.as_str()), (Some(0), ""));
    assert_eq!(near.stderr, "REGIONN is set and nothing reads it; did you mean REGION?\n");
    // A process type that listens needs what another does not.
    let web = run(&["config", "check", "--process", "web"], &SOUND);
    assert_eq!(web.code, Some(78));
    assert!(web.stderr.contains("PORT is not set"), "{web:?}");
}

#[test]
fn each_variable_is_explained_with_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("region");
    std::fs::write(&path, "us-east\n").unwrap();
    let variables = sound_and(&[
        ("REGION_FILE", path.to_str().unwrap()),
        ("REPORT_URL", "https://user:canary@reports.example/v1?key=canary"),
        ("PRICING_URL", "http://pricing.example:81/"),
    ]);
    let explained = run(&["config", "explain", "--json"], &variables);
    assert_eq!(explained.code, Some(0), "{explained:?}");
    explained.hides("canary");
    let json = explained.json();
    let of = |name: &str| {
        let all = json["variables"].as_array().unwrap();
        all.iter().find(|it| it["variable"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    for (name, group, source, value) in [
        ("OVERDUE_DAYS", "service", "default", "30"),
        ("CURRENCY", "service", "environment", "EUR"),
        ("MAIL_KEY", "service", "environment", "[secret]"),
        ("REGION", "service", "file", "us-east"),
        ("REPORT_URL", "service", "environment", "https://reports.example/v1"),
        ("PRICING_URL", "attachment", "environment", "http://pricing.example:81"),
        ("SHUTDOWN_GRACE", "chassis", "default", "25s"),
    ] {
        let variable = of(name);
        assert_eq!(variable["group"], group, "{variable}");
        assert_eq!(variable["source"], source, "{variable}");
        assert_eq!(variable["value"], value, "{variable}");
    }
    assert_eq!(of("PORT")["source"], "not set");
    assert_eq!(of("MAIL_KEY")["required"], true);
    let table = run(&["config", "explain"], &variables);
    table.hides("canary");
    for name in ALL {
        assert_eq!(table.stdout.matches(&format!("\n  {name} ")).count(), 1, "{name}: {table:?}");
    }
}

#[test]
fn a_value_cannot_steer_the_terminal_that_shows_it() {
    let table = run(&["config", "explain"], &sound_and(&[("COUNTRIES", "L\u{1b}[2JV\r\n")]));
    assert_eq!(table.code, Some(0));
    assert!(table.stdout.contains(r"L\u{1b}[2JV"), "{table:?}");
    table.hides("\u{1b}");
}

#[test]
fn the_example_is_an_environment_that_is_sound() {
    let example = run(&["config", "example"], &[("CURRENCY", "canary"), ("MAIL_KEY", "canary")]);
    assert_eq!(example.code, Some(0), "{example:?}");
    example.hides("canary");
    for name in ALL {
        assert!(example.stdout.contains(&format!("{name}=")), "{name}: {example:?}");
    }
    for line in [
        "# Days until an unpaid invoice counts as overdue\n# a whole number from 1 to 365\n#OVERDUE_DAYS=30\n",
        "\nCURRENCY=EUR\n",
        "\nMAIL_KEY=mk-0123\n#MAIL_KEY_FILE=/run/secrets/mail_key\n",
    ] {
        assert!(example.stdout.contains(line), "{line}: {}", example.stdout);
    }
    // As it is, and with all that is commented out.
    let assigned =
        |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let plain = example.stdout.lines().filter(|line| !line.starts_with('#'));
    let uncommented = example.stdout.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with([' ', '#']) => rest,
        _ => line,
    });
    for lines in [plain.collect::<Vec<_>>(), uncommented.collect()] {
        let variables: Vec<_> = lines
            .into_iter()
            .filter(|line| !line.starts_with('#'))
            .filter_map(assigned)
            .filter(|(name, _)| !name.ends_with("_FILE"))
            .collect();
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let check = run(&["config", "check"], &variables);
        assert_eq!(check.code, Some(0), "{variables:?}: {check:?}");
    }
}

#[test]
fn attachments_are_listed_without_their_secrets() {
    let variables = sound_and(&[("PRICING_URL", "http://pricing.example:81/v1")]);
    let json = run(&["attachments", "--json"], &variables).json();
    assert_eq!(
        json["attachments"],
        serde_json::json!([{
            "name": "pricing",
            "variable": "PRICING_URL",
            "source": "environment",
            "kind": "http",
            "where": "http://pricing.example:81/v1",
            "shared": false,
        }])
    );
    let table = run(&["attachments"], &SOUND);
    assert_eq!(table.code, Some(0));
    let row: Vec<_> = table.stdout.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["pricing", "PRICING_URL", "not", "set", "-"]);
}

#[test]
fn the_help_text_lists_every_variable() {
    let help = run(&["--help"], &[("MAIL_KEY", "canary")]);
    assert_eq!(help.code, Some(0));
    help.hides("canary");
    for name in ALL {
        assert!(help.stdout.contains(&format!("  {name} ")), "{name}: {}", help.stdout);
    }
    let place = |text: &str| help.stdout.find(text).unwrap_or_else(|| panic!("no {text}"));
    // A service that answers no requests needs no port.
    assert!(help.stdout.contains("the TCP port to listen on [may be missing]"), "{}", help.stdout);
    assert!(place("OVERDUE_DAYS") < place("PRICING_URL") && place("PRICING_URL") < place("HOST"));
}
