//! What is a URL of a SQL database, and what is said of one that is not.

use std::path::Path;
use std::time::Duration;

use super::*;

fn parse(text: &str) -> Result<SqlUrl, String> {
    <SqlUrl as Variable>::parse(text)
}

#[test]
fn a_sqlite_url_names_an_absolute_file_or_one_in_the_working_directory() {
    for (text, path) in [
        ("sqlite:///data/my%20shop/db.sqlite3", "/data/my shop/db.sqlite3"),
        ("sqlite:orders.db", "orders.db"),
        ("sqlite:var/my%20orders.db?pool_max=3", "var/my orders.db"),
    ] {
        assert_eq!(parse(text).unwrap().sqlite_path(), Some(Path::new(path)), "{text}");
    }
}

#[test]
fn limits_are_parameters_and_have_defaults() {
    let url = parse("sqlite:///db.sqlite3").unwrap();
    assert_eq!(url.limits, SqlLimits::new(SQLITE_POOL_MAX));
    let url =
        "sqlite:///db?pool_max=9&connect_timeout=1s&acquire_timeout=20ms&statement_timeout=1m";
    let expected = SqlLimits {
        pool_max: 9,
        connect_timeout: Duration::from_secs(1),
        acquire_timeout: Duration::from_millis(20),
        statement_timeout: Duration::from_secs(60),
    };
    assert_eq!(parse(url).unwrap().limits, expected);
}

#[test]
fn what_is_wrong_is_said_without_the_text() {
    for (wrong, word) in [
        ("", "not a URL"),
        ("canary", "not a URL"),
        ("mysql://user:canary@host/db", "scheme"),
        ("sqlite://canary/db.sqlite3", "file"),
        ("sqlite:///", "file"),
        ("sqlite:", "file"),
        ("sqlite:///canary/", "file"),
        ("sqlite::memory:", "memory"),
        ("sqlite:../canary.db", "absolute"),
        ("sqlite:///db?canary=canary", "parameter"),
        ("sqlite:///db?pool_max=canary", "pool_max"),
        ("sqlite:///db?pool_max=1", "pool_max"),
        ("sqlite:///db?statement_timeout=canary", "statement_timeout"),
        ("sqlite:///db?acquire_timeout=0s", "acquire_timeout"),
        ("sqlite:///db?connect_timeout=2h", "connect_timeout"),
    ] {
        let error = parse(wrong).unwrap_err();
        assert!(error.contains(word) && !error.contains("canary"), "{wrong}: {error}");
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_scheme_that_was_not_built_names_the_feature_that_it_needs() {
    let error = parse("postgres://user:canary@host/db").unwrap_err();
    assert!(error.contains("`postgres`") && !error.contains("canary"), "{error}");
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;

    #[test]
    fn a_postgres_url_is_shown_without_what_may_be_secret() {
        let text = "postgresql://canary:canary@db.example:5433/shop?sslmode=require\
            &application_name=canary&password_file=/canary&schema=canary";
        let shown = text.replace("canary:canary@", "canary@");
        let url = parse(&shown).unwrap();
        assert_eq!(url.show(), "postgres://db.example:5433/shop");
        assert!(!format!("{url:?}").contains("canary"), "{url:?}");
    }

    #[test]
    fn the_driver_gets_the_parts_with_their_percent_signs_undone() {
        let url = parse("postgres://a%40b:p%2B+%25@[::1]/my%20db").unwrap();
        let Place::Postgres(postgres) = &url.place else { panic!("a PostgreSQL") };
        let options = postgres.options().unwrap();
        assert_eq!(options.get_username(), "a@b");
        assert_eq!(options.get_database(), Some("my db"));
        assert_eq!((options.get_host(), options.get_port()), ("::1", 5432));
    }

    #[test]
    fn a_password_file_is_read_for_each_connection() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let url = format!("postgres://user@host/db?password_file={}", file.display());
        let url = parse(&url).unwrap();
        let Place::Postgres(postgres) = &url.place else { panic!("a PostgreSQL") };
        let error = postgres.options().unwrap_err();
        assert!(error.to_string().contains("password_file"));
        std::fs::write(&file, "secret\n").unwrap();
        postgres.options().unwrap();
    }

    #[test]
    fn what_is_wrong_with_a_postgres_url_is_said_without_the_text() {
        for (wrong, word) in [
            ("postgres://canary:canary@host/", "database"),
            ("postgres://canary:canary@host/a/canary", "path"),
            ("postgres:///canary", "host"),
            ("postgres://host/canary", "user"),
            ("postgres://user@host/db?sslmode=canary", "sslmode"),
            ("postgres://user@host/db?password=canary", "parameter"),
            ("postgres://user@host/db?options=canary", "parameter"),
            ("postgres://user@host/db?sslcert=canary", "sslkey"),
            ("postgres://user:canary@host/db?password_file=canary", "password_file"),
            ("postgres://user@host/db?schema=canary;drop", "schema"),
            ("postgres://user@host:canary/db", "URL"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(word) && !error.contains("canary"), "{wrong}: {error}");
        }
    }
}
