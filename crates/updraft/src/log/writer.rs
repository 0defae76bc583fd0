//! The way of lines to standard output. A reader that has stopped must not stop the
//! service: a thread of its own writes, the queue before it is bounded, and what does not
//! fit is counted and told.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counts::LogCounts;

/// Lines that wait for a slow reader, in bytes.
const LOG_QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// The part of it that warnings and errors alone may fill: they are dropped last.
const LOG_QUEUE_RESERVE: usize = LOG_QUEUE_BYTES / 4;

/// A buffer that grew in a flood gives back what is more than this.
const LOG_BUFFER_KEPT: usize = 256 * 1024;

/// From one write to the next: under load a thread that is woken for each line, and a write of
/// each line, would cost more than the requests that the lines are of. A line that comes after
/// a pause is written at once, and warnings and errors always are, with all before them.
const LOG_PACE: Duration = Duration::from_millis(10);

/// So many bytes are written without waiting for more.
const LOG_BATCH_BYTES: usize = 128 * 1024;

/// How long a caller waits for a full queue before its line is dropped. It waits once:
/// until the reader moves again, further lines are dropped at once.
const LOG_PATIENCE: Duration = Duration::from_millis(20);

/// The end of the queue into which lines are put.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    shared: Arc<Shared>,
    /// Takes the lines in place of the queue: a test reads them.
    #[cfg(feature = "testing")]
    kept: Option<super::Lines>,
}

/// Whether a line is among the first or the last to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Information.
    Usual,
    /// A warning or an error.
    Grave,
}

/// What the thread does beside writing, each time it has written and when it is nudged: it
/// may add lines of its own, and says when it wants to do so again.
pub(super) type Chores = Box<dyn FnMut(&mut String) -> Option<Duration> + Send>;

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    counts: LogCounts,
    pace: Duration,
}

#[derive(Debug, Default)]
struct Queue {
    text: Vec<u8>,
    lines: u64,
    /// Lines lost since the last one that was told.
    dropped: u64,
    /// The reader has made a caller wait in vain, and has taken nothing since.
    stalled: bool,
    /// The thread is writing a batch it took from the queue.
    writing: bool,
    /// The thread has just written, and lets lines gather.
    resting: bool,
    /// Some of the lines must not wait.
    urgent: bool,
    nudged: bool,
}

impl LogWriter {
    /// A queue that nobody takes from yet.
    pub(crate) fn new(counts: LogCounts) -> Self {
        Self::paced(counts, LOG_PACE)
    }

    fn paced(counts: LogCounts, pace: Duration) -> Self {
        let queue = Mutex::new(Queue::default());
        Self {
            shared: Arc::new(Shared { queue, changed: Condvar::new(), counts, pace }),
            #[cfg(feature = "testing")]
            kept: None,
        }
    }

    /// Keeps all lines for a test.
    #[cfg(feature = "testing")]
    pub(super) fn keeping(counts: LogCounts, lines: super::Lines) -> Self {
        Self { kept: Some(lines), ..Self::new(counts) }
    }

    /// Starts the thread that writes to `output`. `told` makes the line that tells how many
    /// were dropped.
    pub(crate) fn start(
        &self,
        output: impl Write + Send + 'static,
        told: impl Fn(u64) -> String + Send + 'static,
        chores: Chores,
    ) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || shared.write_on(output, told, chores))?;
        Ok(())
    }

    /// Puts a line into the queue, or counts it as dropped.
    pub(crate) fn send(&self, line: &[u8], weight: Weight) {
        #[cfg(feature = "testing")]
        if let Some(lines) = &self.kept {
            return lines.keep(line);
        }
        let mut queue = self.shared.lock();
        if !queue.fits(line, weight) && !queue.stalled {
            let full = |queue: &mut Queue| !queue.fits(line, weight);
            queue = self
                .shared
                .changed
                .wait_timeout_while(queue, LOG_PATIENCE, full)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if queue.fits(line, weight) {
            let (was_empty, was_due) = (queue.text.is_empty(), queue.is_due());
            queue.text.extend_from_slice(line);
            queue.lines += 1;
            queue.urgent |= weight == Weight::Grave;
            // Who waits for lines waits for the first one, or for what ends its rest.
            let awaited = if queue.resting { !was_due && queue.is_due() } else { was_empty };
            drop(queue);
            if awaited {
                self.shared.changed.notify_all();
            }
        } else {
            queue.stalled = true;
            queue.dropped += 1;
            self.shared.counts.reader_slow(1);
        }
    }

    /// Has the thread do its chores soon.
    pub(super) fn nudge(&self) {
        #[cfg(feature = "testing")]
        if self.kept.is_some() {
            return;
        }
        self.shared.lock().nudged = true;
        self.shared.changed.notify_all();
    }

    /// Waits until all lines are written, or for `most`.
    pub(crate) fn flush(&self, most: Duration) {
        let mut queue = self.shared.lock();
        queue.urgent = true;
        self.shared.changed.notify_all();
        let busy = |queue: &mut Queue| queue.writing || queue.nudged || !queue.text.is_empty();
        drop(self.shared.changed.wait_timeout_while(queue, most, busy));
    }
}

impl Queue {
    /// Whether the thread has no reason to rest.
    fn is_due(&self) -> bool {
        self.urgent || self.nudged || LOG_BATCH_BYTES <= self.text.len()
    }

    /// A single line always fits into an empty queue, however long it is.
    fn fits(&self, line: &[u8], weight: Weight) -> bool {
        let most = match weight {
            Weight::Usual => LOG_QUEUE_BYTES - LOG_QUEUE_RESERVE,
            Weight::Grave => LOG_QUEUE_BYTES,
        };
        self.text.is_empty() || self.text.len() + line.len() <= most
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_on(&self, mut output: impl Write, told: impl Fn(u64) -> String, mut chores: Chores) {
        let mut batch = Vec::new();
        let mut own = String::new();
        let mut due = None;
        loop {
            batch.clear();
            batch.shrink_to(LOG_BUFFER_KEPT);
            let Taken { lines, dropped } = self.take(&mut batch, due);
            let begun = Instant::now();
            own.clear();
            // The lost lines came after these: the queue was full of them.
            if 0 < dropped {
                own.push_str(&told(dropped));
            }
            due = chores(&mut own).map(|pause| Instant::now() + pause);
            let written = output
                .write_all(&batch)
                .and_then(|()| output.write_all(own.as_bytes()))
                .and_then(|()| output.flush());
            let mut queue = self.lock();
            queue.writing = false;
            if written.is_err() {
                // Nobody reads any more; the lines are lost, the service goes on.
                queue.dropped += lines;
                self.counts.reader_slow(lines);
            }
            self.changed.notify_all();
            self.rest(queue, begun + self.pace);
        }
    }

    /// Lets lines gather until then, unless some of them are urgent, or many.
    fn rest(&self, mut queue: MutexGuard<'_, Queue>, until: Instant) {
        queue.resting = true;
        let left = until.saturating_duration_since(Instant::now());
        let rested = self.changed.wait_timeout_while(queue, left, |queue| !queue.is_due());
        rested.unwrap_or_else(PoisonError::into_inner).0.resting = false;
    }

    /// Waits for lines, a nudge or the time of the chores, and takes all there are.
    fn take(&self, batch: &mut Vec<u8>, due: Option<Instant>) -> Taken {
        let idle = |queue: &mut Queue| queue.text.is_empty() && !queue.nudged;
        let queue = self.lock();
        let mut queue = match due {
            None => self.changed.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner),
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                let waited = self.changed.wait_timeout_while(queue, left, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        queue.nudged = false;
        queue.urgent = false;
        queue.stalled = false;
        queue.writing = true;
        std::mem::swap(&mut queue.text, batch);
        let taken = Taken {
            lines: std::mem::take(&mut queue.lines),
            dropped: std::mem::take(&mut queue.dropped),
        };
        // Callers wait for room.
        self.changed.notify_all();
        taken
    }
}

struct Taken {
    lines: u64,
    dropped: u64,
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn start(output: impl Write + Send + 'static) -> LogWriter {
        let writer = LogWriter::new(LogCounts::default());
        let told = |dropped| format!("{{\"dropped\":{dropped}}}\n");
        writer.start(output, told, Box::new(|_| None)).unwrap();
        writer
    }

    /// Reads until so many lines were received or told of as dropped.
    fn read_all(reader: &mut std::io::PipeReader, sent: u64, line: &str) -> (u64, u64) {
        let (mut text, mut received, mut dropped) = (String::new(), 0, 0);
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
        (received, dropped)
    }

    #[test]
    fn a_stopped_reader_holds_a_caller_once_and_every_lost_line_is_counted() {
        let (mut reader, pipe) = std::io::pipe().unwrap();
        let writer = start(pipe);
        let line = format!("{}\n", "x".repeat(1023));
        let sent: u64 = 10_000;
        let started = Instant::now();
        for _ in 0..sent {
            writer.send(line.as_bytes(), Weight::Usual);
        }
        // 10 MiB into a queue of 4 MiB: the rest is dropped, not waited for.
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let (received, dropped) = read_all(&mut reader, sent, &line);
        assert_eq!(received + dropped, sent);
        assert!(0 < dropped);
        let counts = writer.shared.counts.clone();
        assert_eq!(counts.dropped(), (dropped, 0));
    }

    #[test]
    fn errors_find_room_where_information_does_not() {
        let writer = LogWriter::new(LogCounts::default());
        let line = format!("{}\n", "x".repeat(1023));
        let sent = (LOG_QUEUE_BYTES / 1024) as u64;
        for _ in 0..sent {
            writer.send(line.as_bytes(), Weight::Usual);
        }
        let usual = writer.shared.lock().lines;
        for _ in 0..sent {
            writer.send(line.as_bytes(), Weight::Grave);
        }
        let all = writer.shared.lock().lines;
        assert_eq!((usual, all), (sent / 4 * 3, sent));
    }

    /// Gives away each write for itself.
    struct Writes(std::sync::mpsc::SyncSender<String>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            if !text.is_empty() {
                self.0.send(text).unwrap();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_gather_until_one_is_grave_or_they_are_many_or_somebody_waits() {
        let (sender, writes) = std::sync::mpsc::sync_channel(8);
        let writer = LogWriter::paced(LogCounts::default(), Duration::from_secs(3600));
        writer.start(Writes(sender), |_| String::new(), Box::new(|_| None)).unwrap();
        writer.send(b"first\n", Weight::Usual);
        assert_eq!(writes.recv().unwrap(), "first\n");
        for line in ["a\n", "b\n", "c\n"] {
            writer.send(line.as_bytes(), Weight::Usual);
        }
        writer.send(b"grave\n", Weight::Grave);
        assert_eq!(writes.recv().unwrap(), "a\nb\nc\ngrave\n");
        let half = format!("{}\n", "x".repeat(LOG_BATCH_BYTES / 2));
        writer.send(half.as_bytes(), Weight::Usual);
        writer.send(half.as_bytes(), Weight::Usual);
        assert_eq!(writes.recv().unwrap(), half.repeat(2));
        writer.send(b"last\n", Weight::Usual);
        writer.flush(Duration::from_secs(5));
        assert_eq!(writes.try_recv().unwrap(), "last\n");
    }

    #[test]
    fn a_closed_reader_stops_nothing() {
        let (reader, pipe) = std::io::pipe().unwrap();
        drop(reader);
        let writer = start(pipe);
        for _ in 0..1000 {
            writer.send(b"line\n", Weight::Usual);
        }
        writer.flush(Duration::from_secs(5));
        assert!(writer.shared.lock().text.is_empty());
    }

    #[test]
    fn chores_are_done_when_nudged_and_when_due() {
        let (mut reader, pipe) = std::io::pipe().unwrap();
        let writer = LogWriter::new(LogCounts::default());
        let mut rounds = 0;
        let chores: Chores = Box::new(move |own| {
            rounds += 1;
            own.push_str(&format!("round {rounds}\n"));
            (rounds == 1).then_some(Duration::from_millis(1))
        });
        writer.start(pipe, |_| String::new(), chores).unwrap();
        writer.nudge();
        let mut text = [0; 16];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"round 1\nround 2\n");
    }
}
