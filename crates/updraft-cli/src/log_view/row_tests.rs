//! Rows as a person, a pipe and a program see them.

use super::*;

fn line(source: &str, stream: LogStream, text: &str) -> LogLine {
    let parts: Vec<&str> = source.split('.').collect();
    LogLine {
        seq: 7,
        time: "2026-11-24T10:00:00.123456Z".parse().unwrap(),
        source: LogSource::new(
            parts[0].parse().unwrap(),
            parts[1].parse().unwrap(),
            parts[2].parse().unwrap(),
        ),
        stream,
        line: text.to_owned(),
        partial: false,
        dropped: 0,
    }
}

/// Some of everything that a log can hold.
fn lines() -> Vec<LogLine> {
    use LogStream::{Stderr, Stdout, Updraft};
    vec![
        line("db.postgres.1", Updraft, "started"),
        line("orders.web.1", Stdout, "listening"),
        line("orders.web.2", Stderr, "warning: \x1b[33mslow\x1b[0m\x1b[2J disk"),
        LogLine { partial: true, ..line("orders.web.1", Stdout, "a long li") },
        line("orders.web.2", Stdout, "between"),
        line("orders.web.1", Stdout, "ne"),
        LogLine { partial: true, ..line("orders.web.1", Stderr, "password: ") },
        line("orders.web.1", Stderr, ""),
        line("orders.web.1", Stdout, ""),
        LogLine { dropped: 12_345, ..line("orders.web.1", Stdout, "at last") },
        LogLine { dropped: 1, ..line("orders.web.2", Updraft, "") },
        line(
            "storefront.web.1",
            Stdout,
            r#"{"time":"2026-11-24T10:00:00Z","level":"WARN","message":"no prices\u001b[2J","service":"storefront","process":"web","waited":"500 ms"}"#,
        ),
        line("orders.worker.1", Updraft, "exited with code 1: it will be started again in 1s"),
    ]
}

fn style() -> LogStyle {
    LogStyle {
        json: false,
        raw: false,
        timestamps: None,
        colour: false,
        readable: false,
        names: vec![line("orders.worker.1", LogStream::Stdout, "").source],
    }
}

fn rows(style: LogStyle) -> String {
    let mut writer = RowWriter::new(style);
    let mut rows = String::new();
    for line in lines() {
        writer.write(&line, &mut rows).unwrap();
    }
    rows
}

#[test]
fn in_a_pipe() {
    insta::assert_snapshot!(rows(style()));
}

#[test]
fn on_a_terminal() {
    let style =
        LogStyle { colour: true, readable: true, timestamps: Some(TimeZone::UTC), ..style() };
    insta::assert_snapshot!(rows(style).replace('\x1b', "␛"));
}

#[test]
fn raw() {
    let style = LogStyle { raw: true, colour: true, readable: true, ..style() };
    insta::assert_snapshot!(rows(style).replace('\x1b', "␛"));
}

#[test]
fn as_json() {
    let rows = rows(LogStyle { json: true, ..style() });
    let read: Vec<LogLine> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(read, lines());
}

#[test]
fn a_colour_belongs_to_a_process_and_its_copies() {
    let source = |name: &str| line(name, LogStream::Stdout, "").source;
    let shop = ["orders.web.1", "orders.worker.1", "pricing.web.1", "storefront.web.1"];
    let writer = RowWriter::new(LogStyle { names: shop.map(source).to_vec(), ..style() });
    let colours: HashSet<String> =
        shop.iter().map(|name| format!("{:?}", writer.colour_of(&source(name)))).collect();
    assert_eq!(colours.len(), shop.len(), "{colours:?}");
    assert_eq!(
        writer.colour_of(&source("orders.web.1")),
        writer.colour_of(&source("orders.web.2"))
    );

    let names: Vec<LogSource> = (0..20).map(|number| source(&format!("s{number}.web.1"))).collect();
    assert_eq!(assign_colours(&names).len(), 20, "more processes than colours share them");
}

#[test]
fn numbers_are_grouped() {
    for (number, text) in
        [(1, "1"), (999, "999"), (1000, "1 000"), (12_345, "12 345"), (1_234_567, "1 234 567")]
    {
        assert_eq!(grouped(number), text);
    }
}
