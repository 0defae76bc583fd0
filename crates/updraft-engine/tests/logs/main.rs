//! The laws of the log, with real pipes, real processes and real files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod capture;
mod flood;
mod history;
mod live;

use std::process::Stdio;
use std::time::Duration;

use updraft_engine::logs::{LogLimits, LogQuery, LogStore, read_stored};
use updraft_system::{LogLine, LogSource};

/// What no wait of these tests reaches unless something is broken.
const DEADLINE: Duration = Duration::from_secs(30);

fn source(text: &str) -> LogSource {
    let parts: Vec<&str> = text.split('.').collect();
    LogSource::new(parts[0].parse().unwrap(), parts[1].parse().unwrap(), parts[2].parse().unwrap())
}

fn texts<'a>(lines: impl IntoIterator<Item = &'a LogLine>) -> Vec<&'a str> {
    lines.into_iter().map(|line| line.line.as_str()).collect()
}

fn stored(dir: &std::path::Path, query: &LogQuery) -> Vec<LogLine> {
    read_stored(dir, query).unwrap().collect::<Result<_, _>>().unwrap()
}

fn open(dir: &tempfile::TempDir) -> LogStore {
    LogStore::open(dir.path(), LogLimits::default()).unwrap()
}

async fn in_time<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, wait).await.expect("waited too long")
}

/// Runs a shell script with both outputs captured, to its end.
async fn run(store: &LogStore, source: &LogSource, script: &str) {
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap().into_owned_fd().unwrap();
    let stderr = child.stderr.take().unwrap().into_owned_fd().unwrap();
    in_time(store.capture_both(source.clone(), stdout, stderr)).await.unwrap();
    in_time(child.wait()).await.unwrap();
}
