//! What a gateway tells on stdout: one JSON object in each line, the access log among them.
//! Whoever tells never waits for who reads: what finds the queue full is lost and counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use updraft_mesh::EventSink;

/// Lines that wait for a slow reader; further ones are lost.
const LINES_MAX: usize = 4096;
/// Lines are written together up to this many bytes.
const WRITE_BYTES: usize = 64 * 1024;
/// How long the last lines may take at the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// What happens to a gateway.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// It serves.
    Started {
        system: String,
        version: u64,
        addresses: Vec<SocketAddr>,
        pid: u32,
        /// It has the sockets of the gateway before.
        took_over: bool,
    },
    /// A new configuration is in force.
    Configured { version: u64, addresses: Vec<SocketAddr>, warnings: Vec<String> },
    /// It cannot be taken; the one before stays in force.
    Refused { problems: Vec<String>, version_in_force: u64 },
    /// The next gateway cannot be waited for.
    HandOverFailed { error: String },
    /// It accepts nothing more.
    Draining { reason: &'static str, limit_s: u64 },
    /// It has ended.
    Stopped {
        /// Before everything under way had ended.
        cut_short: bool,
    },
    /// Lines before this one are missing.
    Lost { lines: u64 },
}

#[derive(Serialize)]
struct Line {
    time: Timestamp,
    level: &'static str,
    #[serde(flatten)]
    event: Event,
}

enum Message {
    Line(String),
    End,
}

/// The way to stdout.
#[derive(Debug)]
pub(super) struct EventLog {
    queue: mpsc::Sender<Message>,
    lost: Arc<AtomicU64>,
}

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Writing(oneshot::Receiver<()>);

impl EventLog {
    /// Starts the thread that writes to stdout.
    pub(super) fn start() -> io::Result<(Arc<Self>, Writing)> {
        Self::start_with(io::stdout(), LINES_MAX)
    }

    fn start_with(
        out: impl io::Write + Send + 'static,
        lines_max: usize,
    ) -> io::Result<(Arc<Self>, Writing)> {
        let (queue, lines) = mpsc::channel(lines_max);
        let lost = Arc::new(AtomicU64::new(0));
        let (say_done, done) = oneshot::channel();
        let own = Arc::clone(&lost);
        std::thread::Builder::new().name("gateway-log".to_owned()).spawn(move || {
            // Who reads no more misses nothing; the gateway goes on without a log.
            drop(write(lines, &own, out));
            say_done.send(()).unwrap_or_default();
        })?;
        Ok((Arc::new(Self { queue, lost }), Writing(done)))
    }

    /// Tells what happened.
    pub(super) fn tell(&self, event: Event) {
        let line = line(event);
        self.event(&line);
    }

    /// Writes what is queued, within a bound.
    pub(super) async fn finish(&self, writing: Writing) {
        let flushed = async {
            if self.queue.send(Message::End).await.is_ok() {
                drop(writing.0.await);
            }
        };
        drop(tokio::time::timeout(FLUSH_WITHIN, flushed).await);
    }
}

impl EventSink for EventLog {
    fn event(&self, line: &str) -> bool {
        let taken = self.queue.try_send(Message::Line(line.to_owned())).is_ok();
        if !taken {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

fn line(event: Event) -> String {
    let level = match event {
        Event::Refused { .. } | Event::HandOverFailed { .. } => "error",
        Event::Lost { .. } => "warn",
        _ => "info",
    };
    // A type of ours has no key that JSON could not have.
    serde_json::to_string(&Line { time: Timestamp::now(), level, event }).unwrap_or_default()
}

fn write(
    mut lines: mpsc::Receiver<Message>,
    lost: &AtomicU64,
    mut out: impl io::Write,
) -> io::Result<()> {
    let mut text = String::new();
    let mut ended = false;
    while !ended {
        let Some(first) = lines.blocking_recv() else { break };
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    text.push_str(&line);
                    text.push('\n');
                }
                Message::End => ended = true,
            }
            next = if text.len() < WRITE_BYTES { lines.try_recv().ok() } else { None };
        }
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            text.push_str(&line(Event::Lost { lines: missing }));
            text.push('\n');
        }
        out.write_all(text.as_bytes())?;
        out.flush()?;
        text.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A reader that takes each write only when it is told to.
    struct Slow {
        told: Receiver<()>,
        began: Sender<()>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.began.send(()).unwrap();
            self.told.recv().unwrap();
            self.read.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_that_stands_still_loses_lines_and_hears_how_many() {
        let (tell, told) = channel();
        let (began, begun) = channel();
        let read = Arc::new(Mutex::new(Vec::new()));
        let slow = Slow { told, began, read: Arc::clone(&read) };
        let (log, writing) = EventLog::start_with(slow, 2).unwrap();
        assert!(log.event("1"));
        begun.recv().unwrap();
        assert!(log.event("2") && log.event("3"));
        assert!(!log.event("4") && !log.event("5"));
        tell.send(()).unwrap();
        begun.recv().unwrap();
        tell.send(()).unwrap();
        log.finish(writing).await;
        let read = String::from_utf8(read.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = read.lines().collect();
        assert_eq!(&lines[..3], ["1", "2", "3"]);
        assert!(lines[3].contains(r#""event":"lost","lines":2"#), "{lines:?}");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn a_line_has_its_time_first_and_its_fields_flat() {
        let line = line(Event::Draining { reason: "SIGTERM", limit_s: 10 });
        let rest = line.split_once(",").unwrap().1;
        assert!(line.starts_with(r#"{"time":"2"#), "{line}");
        assert_eq!(rest, r#""level":"info","event":"draining","reason":"SIGTERM","limit_s":10}"#);
    }
}
