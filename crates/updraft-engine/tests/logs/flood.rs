//! The law of the log: a slow reader never makes a program wait, and nothing is dropped
//! without being counted.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use updraft_engine::logs::{LogLimits, LogQuery, LogStore};
use updraft_system::{LogLine, LogStream};

use crate::{DEADLINE, in_time, source, stored};

const LINES: u64 = 300_000;
/// 100,000 lines per second.
const LINES_PER_TICK: u64 = 100;
const TICK: Duration = Duration::from_millis(1);
const LATE_MAX: Duration = Duration::from_millis(10);
const LONGEST_BLOCK: Duration = Duration::from_millis(50);

/// The program: writes its lines at their pace, each with a write of its own, and notes
/// how long it was blocked at most. Run only by the test below, in a process of its own,
/// with the harness's words on standard output and its lines on standard error.
#[test]
#[ignore = "the program that the flood test runs"]
fn program_that_floods() {
    let report = std::env::var_os("FLOOD_REPORT").expect("the test says where to report");
    let mut line = [b'x'; 100];
    line[99] = b'\n';
    let mut stderr = std::io::stderr().lock();
    let (mut longest, mut due) = (Duration::ZERO, Instant::now());
    let start = due;
    for _ in 0..LINES / LINES_PER_TICK {
        while Instant::now() < due {
            std::thread::park_timeout(due - Instant::now());
        }
        // Much too late is late: to catch up would be a faster pace than the law speaks of.
        due = (due + TICK).max(Instant::now() - LATE_MAX);
        let queued = time_in_run_queue();
        for _ in 0..LINES_PER_TICK {
            let before = Instant::now();
            stderr.write_all(&line).unwrap();
            let took = before.elapsed();
            if took > longest {
                // What it waited for a processor, it did not wait for a reader.
                let blocked = took.saturating_sub(time_in_run_queue() - queued);
                longest = longest.max(blocked);
            }
        }
    }
    std::fs::write(
        Path::new(&report),
        format!("{} {}", longest.as_micros(), start.elapsed().as_micros()),
    )
    .unwrap();
}

/// How long this thread was ready to run and another one ran, in its life.
fn time_in_run_queue() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').nth(1).unwrap().parse().unwrap())
}

fn account(lines: &[LogLine]) -> (u64, u64) {
    let received = lines.iter().filter(|line| line.stream == LogStream::Stderr).count() as u64;
    (received, lines.iter().map(|line| line.dropped).sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_reader_delays_no_write_and_every_line_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let limits = LogLimits { total_bytes: 1 << 30, ..LogLimits::default() };
    let store = LogStore::open(dir.path(), limits).unwrap();
    let mut stopped = store.subscribe(LogQuery { follow: true, ..LogQuery::default() });

    let report = dir.path().join("report");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "flood::program_that_floods", "--nocapture"])
        .env("FLOOD_REPORT", &report)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = child.stderr.take().unwrap().into();
    in_time(store.capture(source("orders.web.1"), LogStream::Stderr, pipe)).await.unwrap();
    assert!(child.wait().unwrap().success());
    store.close(DEADLINE).await.unwrap();

    let report = std::fs::read_to_string(report).unwrap();
    let [longest, whole] = [0, 1]
        .map(|place| Duration::from_micros(report.split(' ').nth(place).unwrap().parse().unwrap()));
    assert!(longest <= LONGEST_BLOCK, "a write was blocked for {longest:?}");

    let mut lines = Vec::new();
    while in_time(stopped.recv_many(&mut lines, 1000)).await > 0 {}
    let (received, dropped) = account(&lines);
    assert!(dropped > 0, "the queue held everything: this shows nothing");
    assert_eq!(received + dropped, LINES, "of the stopped reader");
    let (kept, lost) = account(&stored(dir.path(), &LogQuery::default()));
    assert_eq!(kept + lost, LINES, "of the files");
    println!(
        "{LINES} lines in {whole:?}, blocked for {longest:?} at most; \
         reader {received} + {dropped} dropped, files {kept} + {lost}"
    );
}
