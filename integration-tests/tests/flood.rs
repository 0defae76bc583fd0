//! A flood of lines with readers that stand still: the program never waits for them, and
//! what they miss is counted. Alone in its file, because it measures.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{Running, TestSystem, processes, until};
use rustix::process::Signal;
use serde_json::Value;

const LINES_PER_SECOND: u64 = 100_000;
const SECONDS: u64 = 5;

/// The longest that one write of the program may take.
const WRITE_MS_MAX: f64 = 50.0;

const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_stopped_reader_never_blocks_a_program_and_what_it_misses_is_counted() -> Result<()> {
    let system = TestSystem::new(&format!(
        "system = 'flood'\n[service.flood.process]\nmain = {{ run = 'python3 flood.py {LINES_PER_SECOND} {SECONDS} report.json', ready = {{ log = 'standing by' }} }}\n",
    ))?;
    // Two readers that do not read: the terminal of `up`, and a follower.
    let (mut up, terminal) = Running::start_unread(&system, &["up"])?;
    up.wait_ready(SOON)?;
    let (mut follower, stream) =
        Running::start_unread(&system, &["logs", "flood", "-f", "--json"])?;
    let mut followed = Followed::new(stream);
    followed.until("standing by")?;

    let program = system.row("flood", "main")?.pid.context("it runs")?;
    processes::signal(program, Signal::USR1)?;
    let report = system.directory().join("report.json");
    let report: Value = until("the end of the flood", SOON, || {
        Ok(fs::read(&report).ok().and_then(|text| serde_json::from_slice(&text).ok()))
    })?;
    let written = report["lines"].as_u64().context("no number of lines")?;
    let longest = report["longest_ms"].as_f64().context("no longest write")?;
    ensure!(longest <= WRITE_MS_MAX, "a write took {longest} ms: {report}");
    ensure!(written >= LINES_PER_SECOND * SECONDS / 2, "the machine is too slow: {report}");

    // Now the follower reads: what it got and what it missed is what was written.
    while followed.lines + followed.dropped < written {
        followed.next()?;
    }
    ensure!(followed.dropped > 0, "the reader was not slow at all: {followed:?}");
    // A reader that has caught up misses nothing more.
    processes::signal(program, Signal::USR1)?;
    followed.until("that was all")?;
    assert_eq!(followed.lines + followed.dropped, written, "followed: {followed:?}");
    follower.signal(Signal::TERM)?;
    follower.ended(SOON)?;

    // The terminal still stands still, and even so everything stops.
    system.run(&["down"])?;
    up.ended(SOON)?;
    system.expect_nothing(&[], SOON)?;
    ensure!(up.said()?.contains("the end of the log was not shown"), "up said: {}", up.said()?);
    drop(terminal);

    kept_lines_and_losses_are_what_was_written(&system, written)
}

fn kept_lines_and_losses_are_what_was_written(system: &TestSystem, written: u64) -> Result<()> {
    let stored = system.ok(&["logs", "flood", "--json"])?.stdout;
    let mut first = None;
    let (mut kept, mut dropped) = (0, 0);
    for text in stored.lines() {
        let line: Value = serde_json::from_str(text).with_context(|| text.to_owned())?;
        dropped += line["dropped"].as_u64().unwrap_or_default();
        if let Some(number) = number(&line) {
            first.get_or_insert(number);
            kept += 1;
        }
    }
    // Segments are bounded: the oldest lines may be gone by design, none after them.
    let first = first.context("nothing was kept")?;
    ensure!(kept + dropped >= written - first, "{kept} kept, {dropped} dropped since {first}");
    Ok(())
}

/// The number of a flood line.
fn number(line: &Value) -> Option<u64> {
    line["line"].as_str()?.strip_prefix("line ")?.split(' ').next()?.parse().ok()
}

#[derive(Debug)]
struct Followed<R> {
    stream: BufReader<R>,
    lines: u64,
    dropped: u64,
}

impl<R: Read> Followed<R> {
    fn new(stream: R) -> Self {
        Self { stream: BufReader::new(stream), lines: 0, dropped: 0 }
    }

    /// Reads up to the line that holds `end`.
    fn until(&mut self, end: &str) -> Result<()> {
        while !self.next()?["line"].as_str().is_some_and(|text| text.contains(end)) {}
        Ok(())
    }

    /// Reads one line, and counts it and those that were lost before it.
    fn next(&mut self) -> Result<Value> {
        let mut text = String::new();
        ensure!(self.stream.read_line(&mut text)? > 0, "the log ended: {:?}", self.lines);
        let line: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        self.dropped += line["dropped"].as_u64().unwrap_or_default();
        self.lines += u64::from(number(&line).is_some());
        Ok(line)
    }
}
