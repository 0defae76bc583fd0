//! Subscriptions and waits.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use updraft_engine::logs::{LogLimits, LogQuery, LogStore};
use updraft_system::{LogLine, LogStream};

use crate::{DEADLINE, in_time, open, run, source, stored, texts};

fn follow() -> LogQuery {
    LogQuery { follow: true, ..LogQuery::default() }
}

/// The law: what a subscriber gets has each number once, wherever between the files and
/// the pipes it began, while several processes write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_lines_then_live_ones_without_gap_or_duplicate() {
    const EACH: u64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let limits = LogLimits { segment_bytes: 256 << 10, ..LogLimits::default() };
    let store = LogStore::open(dir.path(), limits).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for replica in 1..=3 {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let web = source(&format!("orders.web.{replica}"));
        let capture = store.capture(web, LogStream::Stdout, reader.into());
        tasks.spawn(async { capture.await.unwrap() });
        tasks.spawn_blocking(move || {
            for number in 0..EACH {
                writeln!(writer, "line {number}").unwrap();
            }
        });
    }
    let mut readers = tokio::task::JoinSet::new();
    let mut begins = Vec::new();
    while store.next_seq() <= 3 * EACH {
        if readers.len() < 6 && begins.last().is_none_or(|last| store.next_seq() > last + 5_000) {
            begins.push(store.next_seq());
            let mut lines = store.subscribe(follow());
            readers.spawn(async move {
                let mut next = 1;
                while next <= 3 * EACH {
                    let line = lines.recv().await.unwrap();
                    assert_eq!((line.seq, line.dropped), (next, 0));
                    next += 1;
                }
            });
        }
        tokio::task::yield_now().await;
    }
    assert!(begins.iter().any(|&begin| begin > 1), "some began in the middle: {begins:?}");
    in_time(tasks.join_all()).await;
    in_time(readers.join_all()).await;
}

#[tokio::test]
async fn a_subscription_chooses() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for (name, text) in [
        ("orders.web.1", "GET /a"),
        ("orders.worker.1", "job a"),
        ("orders.web.2", "GET /b"),
        ("pricing.web.1", "GET /c"),
    ] {
        store.notice(&source(name), text);
    }
    type Case = (&'static [&'static str], &'static str, Option<usize>, &'static [&'static str]);
    let cases: &[Case] = &[
        (&[], "", None, &["GET /a", "job a", "GET /b", "GET /c"]),
        (&["orders"], "", None, &["GET /a", "job a", "GET /b"]),
        (&["orders.web"], "", None, &["GET /a", "GET /b"]),
        (&["orders.web.2", "pricing"], "", None, &["GET /b", "GET /c"]),
        (&[], "^GET", None, &["GET /a", "GET /b", "GET /c"]),
        (&[], "^GET", Some(2), &["GET /b", "GET /c"]),
        (&["orders"], "a$", Some(9), &["GET /a", "job a"]),
        (&[], "", Some(0), &[]),
    ];
    for (selectors, grep, last, expected) in cases {
        let query = LogQuery {
            selectors: selectors.iter().map(|text| text.parse().unwrap()).collect(),
            grep: Some(grep.parse().unwrap()),
            last: *last,
            ..LogQuery::default()
        };
        let mut lines = store.subscribe(query.clone());
        let mut got = Vec::new();
        while in_time(lines.recv_many(&mut got, 3)).await > 0 {}
        assert_eq!(texts(&got), *expected);
        assert_eq!(stored(dir.path(), &query), got, "the files say the same");
        assert!(lines.history_error().is_none());
    }
}

#[tokio::test]
async fn live_lines_are_chosen_too_and_closing_ends_the_subscription() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let query = LogQuery {
        selectors: vec!["orders".parse().unwrap()],
        grep: Some("keep".parse().unwrap()),
        last: Some(0),
        ..follow()
    };
    store.notice(&source("orders.web.1"), "keep: too early");
    let mut lines = store.subscribe(query);
    for (name, text) in
        [("orders.web.1", "keep 1"), ("orders.web.1", "not"), ("pricing.web.1", "keep not")]
    {
        store.notice(&source(name), text);
    }
    store.notice(&source("orders.web.1"), "keep 2");
    store.close(DEADLINE).await.unwrap();
    let mut got = Vec::new();
    while in_time(lines.recv_many(&mut got, 100)).await > 0 {}
    assert_eq!(texts(&got), ["keep 1", "keep 2"]);
}

/// A reader that comes back is told what it missed, also when nothing more is printed.
#[tokio::test]
async fn losses_are_told_when_the_source_is_quiet() {
    let dir = tempfile::tempdir().unwrap();
    let limits = LogLimits { subscriber_queue_bytes: 2 << 10, ..LogLimits::default() };
    let store = LogStore::open(dir.path(), limits).unwrap();
    let web = source("orders.web.1");
    let mut lines = store.subscribe(LogQuery { last: Some(0), ..follow() });
    for number in 1..=1000 {
        store.notice(&web, &number.to_string());
    }
    let mut got: Vec<LogLine> = Vec::new();
    while got.last().is_none_or(|line| line.seq < 1000) {
        got.push(in_time(lines.recv()).await.unwrap());
    }
    let (count, rest) = got.split_last().unwrap();
    assert!(!rest.is_empty() && rest.iter().all(|line| line.dropped == 0));
    assert_eq!((count.line.as_str(), count.dropped), ("", 1000 - rest.len() as u64));

    store.notice(&web, "next");
    let next = in_time(lines.recv()).await.unwrap();
    assert_eq!((next.line.as_str(), next.dropped), ("next", 0), "told once");
}

#[tokio::test]
async fn a_wait_finds_lines_in_memory_and_lines_to_come() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let web = source("orders.web.1");
    let ready = || "listening on [0-9]+".parse().unwrap();
    run(&store, &web, "echo starting; echo listening on 80").await;
    let early = in_time(store.matched(&web, ready(), 1)).await.unwrap();
    assert_eq!(early.line, "listening on 80");

    // A restart counts from its own start, and nobody else's words count.
    let from_now = store.matched(&web, ready(), store.next_seq());
    store.notice(&web, "listening on 81, says Updraft");
    run(&store, &source("orders.web.2"), "echo listening on 82").await;
    run(&store, &web, "echo listening on 83").await;
    assert_eq!(in_time(from_now).await.unwrap().line, "listening on 83");

    let never = store.matched(&web, "never".parse().unwrap(), 1);
    store.close(DEADLINE).await.unwrap();
    assert!(in_time(never).await.is_none());
    assert!(in_time(store.matched(&web, "never".parse().unwrap(), 1)).await.is_none());
}

/// A wait is not a reader that may be too slow: one line among many is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_finds_its_line_in_a_flood() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let web = source("orders.web.1");
    let found = store.matched(&web, "ready".parse().unwrap(), 1);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let capture = tokio::spawn(store.capture(web, LogStream::Stdout, reader.into()));
    static STOP: AtomicBool = AtomicBool::new(false);
    let flood = tokio::task::spawn_blocking(move || {
        let noise = b"noise that means nothing\n".repeat(1000);
        for _ in 0..50 {
            writer.write_all(&noise).unwrap();
        }
        writer.write_all(b"ready\n").unwrap();
        while !STOP.load(Ordering::Relaxed) {
            writer.write_all(&noise).unwrap();
        }
    });
    assert_eq!(in_time(found).await.unwrap().line, "ready");
    STOP.store(true, Ordering::Relaxed);
    in_time(flood).await.unwrap();
    in_time(capture).await.unwrap().unwrap();
}
