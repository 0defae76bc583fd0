//! The printer before readers that stop, go, and come back.

use std::io::{BufRead, BufReader, PipeReader, Read};
use std::time::Instant;

use updraft_system::{LogSource, LogStream};

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

fn style(json: bool) -> LogStyle {
    LogStyle {
        json,
        raw: false,
        timestamps: None,
        colour: false,
        readable: false,
        names: Vec::new(),
    }
}

fn line(seq: u64, text: impl Into<String>) -> LogLine {
    LogLine {
        seq,
        time: "2026-11-24T10:00:00Z".parse().unwrap(),
        source: LogSource::new("orders".parse().unwrap(), "web".parse().unwrap(), 1),
        stream: LogStream::Stdout,
        line: text.into(),
        partial: false,
        dropped: 0,
    }
}

fn printer(json: bool) -> (LogPrinter, PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    (LogPrinter::start(writer.into(), style(json)).unwrap(), reader)
}

/// The law: however long the reader stops, printing never waits, and when it goes on it
/// gets each line or its count.
#[tokio::test]
async fn a_stopped_reader_delays_nothing_and_every_line_is_counted() {
    const LINES: u64 = 100_000;
    let (printer, reader) = printer(true);
    // That this ends is the point: nobody takes anything from the pipe.
    for seq in 1..=LINES {
        printer.print(line(seq, "x".repeat(100)));
    }
    let stalled = printer.finish(Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(stalled, PrintError::Stalled(_)), "the reader has taken nothing");

    let (mut printed, mut dropped) = (0, 0);
    for row in BufReader::new(reader).lines() {
        let line: LogLine = serde_json::from_str(&row.unwrap()).unwrap();
        printed += u64::from(!is_count(&line));
        dropped += line.dropped;
    }
    assert!(dropped > 0, "the queue held everything: this shows nothing");
    assert_eq!(printed + dropped, LINES);
}

#[tokio::test]
async fn the_reader_is_told_what_it_missed_as_soon_as_it_is_back() {
    let (printer, reader) = printer(false);
    let mut seq = 0;
    while printer.shared.losses().is_empty() {
        seq += 1;
        printer.print(line(seq, format!("line {seq} {}", "x".repeat(1000))));
    }
    // Nothing more is printed, and still the count comes.
    let mut rows = BufReader::new(reader).lines().map(Result::unwrap);
    let last = rows.find(|row| row.contains("dropped")).unwrap();
    assert_eq!(last, "orders.web.1 ▸ … 1 line dropped: the reader was slow");
    drop(rows);
    printer.finish(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn waiting_for_room_loses_nothing() {
    const LINES: u64 = 20_000;
    let (printer, mut reader) = printer(false);
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text).unwrap()
    });
    for seq in 1..=LINES {
        assert!(
            printer.print_when_ready(line(seq, format!("line {seq} {}", "x".repeat(400)))).await
        );
    }
    printer.finish(DEADLINE).await.unwrap();
    let text = reading.await.unwrap();
    for (row, seq) in text.lines().zip(1..=LINES) {
        assert!(row.starts_with(&format!("orders.web.1 │ line {seq} ")), "{row}");
    }
    assert_eq!(text.lines().count() as u64, LINES);
}

#[tokio::test]
async fn a_reader_that_has_gone_ends_it_quietly() {
    let (printer, reader) = printer(false);
    drop(reader);
    let whole_queue = "x".repeat(QUEUE_BYTES as usize);
    let started = Instant::now();
    while printer.print_when_ready(line(1, whole_queue.clone())).await {
        assert!(started.elapsed() < DEADLINE, "it was not told");
    }
    assert!(printer.is_closed());
    printer.print(line(2, "into nothing"));
    printer.finish(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_an_error() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let printer = LogPrinter::start(full.into(), style(false)).unwrap();
    printer.print(line(1, "too much"));
    let error = printer.finish(DEADLINE).await.unwrap_err();
    assert!(matches!(&error, PrintError::Write(_)), "{error:?}");
}

/// Some programs make the terminal non-blocking for all who share it.
#[tokio::test]
async fn an_output_that_does_not_block_gets_all_rows() {
    let (mut reader, writer) = io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    let printer = LogPrinter::start(writer.into(), style(false)).unwrap();
    for seq in 1..=1000 {
        printer.print(line(seq, "x".repeat(1000)));
    }
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text).unwrap()
    });
    printer.finish(DEADLINE).await.unwrap();
    assert_eq!(reading.await.unwrap().lines().count(), 1000);
}
