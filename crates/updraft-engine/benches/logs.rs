//! Lines per second from a pipe to the log, against the floor: a loop that reads the same
//! pipe and does nothing. `cargo bench -p updraft-engine --bench logs`
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on says so by panicking")]
#![expect(clippy::print_stdout, reason = "its result goes to the terminal")]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use updraft_engine::logs::{LogLimits, LogQuery, LogStore, read_stored};
use updraft_system::{LogSource, LogStream};

const LINES: u64 = 2_000_000;
const LINE_BYTES: usize = 100;
const ROUNDS: usize = 5;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    println!("{LINES} lines of {LINE_BYTES} bytes, best of {ROUNDS} rounds");
    let floor = best(|| measure(floor));
    report("read and forget (floor)", floor, floor);
    let mut stored = 0;
    let time = best(|| {
        let dir = tempfile::tempdir().unwrap();
        let limits = LogLimits { total_bytes: 4 << 30, ..LogLimits::default() };
        let store = LogStore::open(dir.path(), limits).unwrap();
        let time = measure(|pipe| {
            let capture = store.capture(source(), LogStream::Stdout, pipe);
            runtime.block_on(async { tokio::spawn(capture).await.unwrap().unwrap() });
        });
        runtime.block_on(store.close(Duration::from_secs(60))).unwrap();
        stored = account(dir.path());
        time
    });
    report("capture", time, floor);
    println!("of which {stored} were stored and the others counted as dropped");
    storing_and_reading();
}

/// The time from the first read to the end of the pipe.
fn measure(read: impl FnOnce(OwnedFd)) -> Duration {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // As the capture would have it, so that both see the same pipe.
    rustix::pipe::fcntl_setpipe_size(&reader, 1 << 20).unwrap();
    let mut line = [b'x'; LINE_BYTES];
    line[LINE_BYTES - 1] = b'\n';
    let block = line.repeat(640);
    let program = std::thread::spawn(move || {
        for _ in 0..LINES / 640 {
            writer.write_all(&block).unwrap();
        }
    });
    let start = Instant::now();
    read(reader.into());
    let time = start.elapsed();
    program.join().unwrap();
    time
}

fn floor(pipe: OwnedFd) {
    let mut pipe = std::fs::File::from(pipe);
    let mut buffer = vec![0; 64 << 10];
    while pipe.read(&mut buffer).unwrap() > 0 {}
}

/// What the files take with a queue that holds all, line by line, and what they give to a
/// reader without a running system.
fn storing_and_reading() {
    const STORED: u32 = 200_000;
    let dir = tempfile::tempdir().unwrap();
    let limits = LogLimits { writer_queue_bytes: 1 << 30, ..LogLimits::default() };
    let store = LogStore::open(dir.path(), limits).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    for number in 0..STORED {
        store.notice(&source(), &format!("{number:0>100}"));
    }
    runtime.block_on(store.close(Duration::from_secs(60))).unwrap();
    let storing = start.elapsed();

    let start = Instant::now();
    let lines = read_stored(dir.path(), &LogQuery::default()).unwrap().count();
    let reading = start.elapsed();
    let start = Instant::now();
    let query = LogQuery { last: Some(100), ..LogQuery::default() };
    let last = read_stored(dir.path(), &query).unwrap().count();
    println!(
        "storing {:.0} lines/s one by one, reading {:.0} lines/s, the last {last} of {lines} in {:?}",
        f64::from(STORED) / storing.as_secs_f64(),
        f64::from(STORED) / reading.as_secs_f64(),
        start.elapsed(),
    );
}

/// How many lines were stored, after a check that no line went uncounted.
fn account(dir: &std::path::Path) -> u64 {
    let (mut stored, mut dropped) = (0, 0);
    for line in read_stored(dir, &LogQuery::default()).unwrap() {
        let line = line.unwrap();
        stored += u64::from(line.stream == LogStream::Stdout);
        dropped += line.dropped;
    }
    assert_eq!(stored + dropped, LINES);
    stored
}

fn source() -> LogSource {
    LogSource::new("orders".parse().unwrap(), "web".parse().unwrap(), 1)
}

fn best(mut measure: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| measure()).min().unwrap_or_default()
}

fn report(name: &str, time: Duration, floor: Duration) {
    println!(
        "{name:<30} {:>12.0} lines/s, {:.2} times the floor's time",
        LINES as f64 / time.as_secs_f64(),
        time.as_secs_f64() / floor.as_secs_f64(),
    );
}
