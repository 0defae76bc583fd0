//! From the pipe to the ring.

use std::io::Write;

use updraft_engine::logs::LogQuery;
use updraft_system::LogStream;

use crate::{in_time, open, run, source, texts};

#[tokio::test]
async fn both_outputs_of_a_process_become_numbered_lines() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let web = source("orders.web.1");
    run(&store, &web, "echo one; echo two; echo oh >&2; printf 'no end'").await;
    store.notice(&web, "exited with code 0");

    let lines = store.tail(&web, 100);
    assert_eq!(lines.len(), 5);
    let of = |stream| texts(lines.iter().filter(move |line| line.stream == stream));
    assert_eq!(of(LogStream::Stdout), ["one", "two", "no end"]);
    assert_eq!(of(LogStream::Stderr), ["oh"]);
    assert_eq!(of(LogStream::Updraft), ["exited with code 0"]);
    assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(lines.is_sorted_by_key(|line| line.time));
    assert!(lines.iter().all(|line| line.dropped == 0 && !line.partial && line.source == web));

    assert_eq!(texts(&store.tail(&web, 1)), ["exited with code 0"]);
    assert!(store.tail(&source("orders.web.2"), 5).is_empty());
}

#[tokio::test]
async fn the_start_of_a_line_is_shown_before_its_end_comes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let shell = source("orders.shell.1");
    let mut lines = store.subscribe(LogQuery { follow: true, ..LogQuery::default() });
    let (reader, mut writer) = std::io::pipe().unwrap();
    let capture = tokio::spawn(store.capture(shell, LogStream::Stdout, reader.into()));

    writer.write_all(b"name? ").unwrap();
    let prompt = in_time(lines.recv()).await.unwrap();
    assert_eq!((prompt.line.as_str(), prompt.partial), ("name? ", true));
    writer.write_all(b"Ada\nnext").unwrap();
    let rest = in_time(lines.recv()).await.unwrap();
    assert_eq!((rest.line.as_str(), rest.partial), ("Ada", false));
    drop(writer);
    let last = in_time(lines.recv()).await.unwrap();
    assert_eq!((last.line.as_str(), last.partial), ("next", false));
    capture.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_capture_that_is_ended_early_keeps_what_it_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let web = source("orders.web.1");
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"whole\nhalf").unwrap();
    let capture = tokio::spawn(store.capture(web.clone(), LogStream::Stdout, reader.into()));
    in_time(store.matched(&web, "whole".parse().unwrap(), 1)).await.unwrap();
    capture.abort();
    assert!(capture.await.unwrap_err().is_cancelled());
    assert_eq!(texts(&store.tail(&web, 9)), ["whole", "half"]);
    drop(writer);
}

#[tokio::test]
async fn what_is_no_pipe_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let file = std::fs::File::open("/dev/null").unwrap();
    let error =
        store.capture(source("orders.web.1"), LogStream::Stderr, file.into()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read the standard error of orders.web.1");
}

/// What is kept of each source is bounded in lines and bytes, and so is their number.
#[tokio::test]
async fn rings_keep_the_newest_within_their_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let limits =
        updraft_engine::logs::LogLimits { ring_lines: 10, ring_sources: 3, ..Default::default() };
    let store = updraft_engine::logs::LogStore::open(dir.path(), limits).unwrap();
    let first = source("a.web.1");
    for number in 1..=25 {
        store.notice(&first, &number.to_string());
    }
    let kept = store.tail(&first, 100);
    assert_eq!(kept.len(), 10);
    assert_eq!(kept[9].line, "25");

    for name in ["b.web.1", "c.web.1"] {
        store.notice(&source(name), "here");
    }
    store.notice(&first, "still here");
    store.notice(&source("d.web.1"), "new");
    assert!(store.tail(&source("b.web.1"), 1).is_empty(), "it was quiet for longest");
    assert_eq!(texts(&store.tail(&first, 1)), ["still here"]);
}
