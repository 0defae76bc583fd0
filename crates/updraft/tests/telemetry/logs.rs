//! Lines of a real process: floods are bounded, the level changes and changes back, panics and
//! the release are told.

use rustix::process::Signal;

use crate::support::{get, wait_until};
use crate::web;

#[test]
fn a_flood_of_lines_is_bounded_and_what_is_dropped_is_told() {
    let (process, address) = web(&[("LOG_RATE_LIMIT", "50")]);
    assert_eq!(get(&address, "/flood?lines=20000").status, 200);
    process.signal(Signal::TERM);
    let (status, lines) = process.end();
    assert!(status.success());
    let flood = lines.iter().filter(|line| line["message"] == "flood").count() as u64;
    assert!((50..10_000).contains(&flood), "{flood} lines");
    let told = lines.iter().filter(|line| line["target"] == "updraft::log");
    let dropped: u64 = told
        .map(|line| {
            assert_eq!((&line["level"], &line["of"]), (&"WARN".into(), &"traced".into()), "{line}");
            assert!(line["place"].as_str().unwrap().contains("traced.rs:"), "{line}");
            line["dropped"].as_u64().unwrap()
        })
        .sum();
    assert_eq!(flood + dropped, 20_000);
    assert!(lines.iter().any(|line| line["message"] == "the flood is over"), "others are written");
}

#[test]
fn the_level_changes_in_the_running_process_and_changes_back_by_itself() {
    let (mut process, address) = web(&[("LOG_LEVEL", "warn,updraft=info")]);
    let mut shown = |path: &str| {
        get(&address, path);
        let mut messages = Vec::new();
        loop {
            let line = process.wait_for("");
            let message = line["message"].as_str().unwrap().to_owned();
            if message == "request" {
                return messages;
            }
            messages.push(message);
        }
    };
    assert_eq!(shown("/whisper"), ["shouted"]);
    let changed = shown("/level?directives=info,traced%3Ddebug&ms=3600000");
    assert_eq!(changed, ["the log level is changed"]);
    assert_eq!(shown("/whisper"), ["whispered", "said", "shouted"]);
    assert_eq!(shown("/level?directives=loud&ms=1000"), [""; 0]);
    assert_eq!(shown("/whisper"), ["whispered", "said", "shouted"], "a wrong one changes nothing");
    let back = shown("/level?directives=trace,hyper%3Doff,mio%3Doff&ms=1");
    assert!(back.contains(&"the log level is changed".to_owned()), "{back:?}");
    wait_until("the level is back", || shown("/whisper") == ["shouted"]);
}

#[test]
fn an_error_has_its_trace_however_little_is_logged() {
    let (mut process, address) =
        web(&[("LOG_LEVEL", "error,updraft::web=info,updraft::process=info")]);
    get(&address, "/whisper");
    let line = process.wait_for("shouted");
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32, "{line}");
    assert_eq!(line["request_id"].as_str().unwrap().len(), 36, "{line}");
    assert!(line["release"].is_string(), "{line}");
}
