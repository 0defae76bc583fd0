//! The way of lines to standard output. A reader that has stopped must not stop the
//! service: a thread of its own writes, the queue before it is bounded, and what does not
//! fit is counted and told.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Identity;

/// Lines that wait for a slow reader, in bytes.
const LOG_QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// How long a caller waits for a full queue before its line is dropped. It waits once:
/// until the reader moves again, further lines are dropped at once.
const LOG_PATIENCE: Duration = Duration::from_millis(20);

/// The end of the queue into which lines are put.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    identity: Identity,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<String>,
    bytes: usize,
    /// Lines lost since the last one that was told.
    dropped: u64,
    /// The reader has made a caller wait in vain, and has taken nothing since.
    stalled: bool,
    /// The thread is writing a batch it took from the queue.
    writing: bool,
}

impl LogWriter {
    /// Starts the thread that writes to `output`.
    pub(crate) fn start(
        output: impl Write + Send + 'static,
        identity: Identity,
    ) -> std::io::Result<Self> {
        let queue = Mutex::new(Queue::default());
        let shared = Arc::new(Shared { queue, changed: Condvar::new(), identity });
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || of_thread.write_on(output))?;
        Ok(Self { shared })
    }

    /// Puts a line into the queue, or counts it as dropped.
    pub(crate) fn send(&self, line: String) {
        let mut queue = self.shared.lock();
        if !queue.fits(&line) && !queue.stalled {
            let room = |queue: &mut Queue| !queue.fits(&line);
            queue = self
                .shared
                .changed
                .wait_timeout_while(queue, LOG_PATIENCE, room)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if queue.fits(&line) {
            queue.bytes += line.len();
            queue.lines.push_back(line);
            self.shared.changed.notify_all();
        } else {
            queue.stalled = true;
            queue.dropped += 1;
        }
    }

    /// Waits until all lines are written, or for `most`.
    pub(crate) fn flush(&self, most: Duration) {
        let queue = self.shared.lock();
        let busy = |queue: &mut Queue| queue.writing || !queue.lines.is_empty();
        drop(self.shared.changed.wait_timeout_while(queue, most, busy));
    }
}

impl Queue {
    /// A single line always fits into an empty queue, however long it is.
    fn fits(&self, line: &str) -> bool {
        self.lines.is_empty() || self.bytes + line.len() <= LOG_QUEUE_BYTES
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_on(&self, mut output: impl Write) {
        loop {
            let (batch, dropped) = self.take();
            let written = self.write(&mut output, &batch, dropped);
            let mut queue = self.lock();
            queue.writing = false;
            if written.is_err() {
                // Nobody reads any more; the lines are lost, the service goes on.
                queue.dropped += u64::try_from(batch.len()).unwrap_or(u64::MAX);
            }
            self.changed.notify_all();
        }
    }

    /// Waits for lines and takes all there are.
    fn take(&self) -> (VecDeque<String>, u64) {
        let mut queue = self
            .changed
            .wait_while(self.lock(), |queue| queue.lines.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        queue.bytes = 0;
        queue.stalled = false;
        queue.writing = true;
        let batch = std::mem::take(&mut queue.lines);
        let dropped = std::mem::take(&mut queue.dropped);
        // Callers wait for room.
        self.changed.notify_all();
        (batch, dropped)
    }

    fn write(
        &self,
        output: &mut impl Write,
        batch: &VecDeque<String>,
        dropped: u64,
    ) -> std::io::Result<()> {
        for line in batch {
            output.write_all(line.as_bytes())?;
        }
        // The lost lines came after these: the queue was full of them.
        if 0 < dropped {
            output.write_all(self.told(dropped).as_bytes())?;
        }
        output.flush()
    }

    fn told(&self, dropped: u64) -> String {
        let Identity { service, process } = self.identity;
        let time = jiff::Timestamp::now();
        format!(
            r#"{{"time":"{time:.6}","level":"WARN","message":"log lines were dropped: the reader of standard output is slow","target":"updraft::log","service":"{service}","process":"{process}","dropped":{dropped}}}"#
        ) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Instant;

    use super::*;

    const IDENTITY: Identity = Identity { service: "s", process: "p" };

    #[test]
    fn a_stopped_reader_holds_a_caller_once_and_every_lost_line_is_counted() {
        let (mut reader, pipe) = std::io::pipe().unwrap();
        let writer = LogWriter::start(pipe, IDENTITY).unwrap();
        let line = format!("{}\n", "x".repeat(1023));
        let sent: u64 = 10_000;
        let started = Instant::now();
        for _ in 0..sent {
            writer.send(line.clone());
        }
        // 10 MiB into a queue of 4 MiB: the rest is dropped, not waited for.
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());

        let mut text = String::new();
        let mut received = 0;
        let mut dropped = 0;
        while received + dropped < sent {
            let mut chunk = [0; 65536];
            let length = reader.read(&mut chunk).unwrap();
            text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
            while let Some(end) = text.find('\n') {
                let one: String = text.drain(..=end).collect();
                if one == line {
                    received += 1;
                } else {
                    let notice: serde_json::Value = serde_json::from_str(&one).unwrap();
                    dropped += notice["dropped"].as_u64().unwrap();
                }
            }
        }
        assert_eq!(received + dropped, sent);
        assert!(0 < dropped);
    }

    #[test]
    fn a_closed_reader_stops_nothing() {
        let (reader, pipe) = std::io::pipe().unwrap();
        drop(reader);
        let writer = LogWriter::start(pipe, IDENTITY).unwrap();
        for _ in 0..1000 {
            writer.send("line\n".to_owned());
        }
        writer.flush(Duration::from_secs(5));
        assert!(writer.shared.lock().lines.is_empty());
    }
}
