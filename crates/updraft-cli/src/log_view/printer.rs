//! The thread that prints, and the bounded queue before it.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::{Semaphore, mpsc, oneshot};
use updraft_engine::logs::Losses;
use updraft_system::LogLine;

use super::row::{LogStyle, RowWriter};

/// Memory for lines that are to be printed.
const QUEUE_BYTES: u32 = 4 << 20;

/// How many bytes of rows go into one write, about.
const WRITE_BYTES: usize = 64 << 10;

/// How long the last lines may take to be printed.
pub(crate) const PRINT_WITHIN: Duration = Duration::from_secs(10);

/// The log could not be shown to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrintError {
    /// There is no output, or no thread for it.
    #[error("cannot print the log")]
    Start(#[source] io::Error),
    /// The output refused rows, for another reason than that its reader has gone.
    #[error("cannot print the log: check that the disk behind standard output is not full")]
    Write(#[source] io::Error),
    /// The output took no more rows in time.
    #[error("the last lines of the log were not printed: their reader took none for {0:?}")]
    Stalled(Duration),
}

/// Prints lines on a thread of its own. A reader that has stopped holds up that thread and
/// nothing else; a reader that has gone, as `head` does, ends it quietly.
#[derive(Debug)]
pub(crate) struct LogPrinter {
    queue: mpsc::Sender<LogLine>,
    shared: Arc<Shared>,
    done: oneshot::Receiver<io::Result<()>>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// The bytes that the queue has room for.
    room: Semaphore,
    losses: Mutex<Losses>,
}

impl LogPrinter {
    /// Prints to standard output.
    pub(crate) fn to_stdout(style: LogStyle) -> Result<Self, PrintError> {
        // Its own handle: a blocked write must not hold the lock of `io::stdout()`.
        let output = io::stdout().as_fd().try_clone_to_owned().map_err(PrintError::Start)?;
        Self::start(output, style)
    }

    fn start(output: OwnedFd, style: LogStyle) -> Result<Self, PrintError> {
        let entries_max = QUEUE_BYTES as usize / size_of::<LogLine>();
        let (queue, lines) = mpsc::channel(entries_max);
        let shared = Arc::new(Shared {
            room: Semaphore::new(QUEUE_BYTES as usize),
            losses: Mutex::new(Losses::default()),
        });
        let (say_done, done) = oneshot::channel();
        let mut writing = Writing {
            lines,
            shared: Arc::clone(&shared),
            rows: RowWriter::new(style),
            output: File::from(output),
        };
        let thread = std::thread::Builder::new()
            .name("updraft-print".to_owned())
            .spawn(move || {
                // Nobody waits for the end of a printer that was dropped.
                drop(say_done.send(writing.run()));
            })
            .map_err(PrintError::Start)?;
        Ok(Self { queue, shared, done, thread })
    }

    /// Prints the line, or counts it as dropped when the queue is full. Never waits.
    pub(crate) fn print(&self, line: LogLine) {
        let mut losses = self.shared.losses();
        let lost = losses.take(&line.source);
        let line = LogLine { dropped: line.dropped + lost, ..line };
        let refused = match self.shared.room.try_acquire_many(size_of_line(&line)) {
            Ok(room) => match self.queue.try_send(line) {
                Ok(()) => {
                    // Given back by the thread.
                    room.forget();
                    return;
                }
                Err(error) => error.into_inner(),
            },
            Err(_) => line,
        };
        // A mere count is no line itself.
        let itself = u64::from(!is_count(&refused));
        losses.add(&refused.source, refused.dropped + itself, refused.seq, refused.time);
    }

    /// Prints the line when there is room; gives `false` when the reader has gone. For one
    /// who has nothing else to do, and would rather wait than lose a line.
    pub(crate) async fn print_when_ready(&self, line: LogLine) -> bool {
        let Ok(room) = self.shared.room.acquire_many(size_of_line(&line)).await else {
            return false;
        };
        let sent = self.queue.send(line).await.is_ok();
        if sent {
            room.forget();
        }
        sent
    }

    /// Whether the reader has gone, so that there is no use in printing.
    pub(crate) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Prints what is queued. Waits for `within` at most: a reader that has stopped must
    /// not keep the command from ending.
    pub(crate) async fn finish(self, within: Duration) -> Result<(), PrintError> {
        drop(self.queue);
        match tokio::time::timeout(within, self.done).await {
            Err(_) => return Err(PrintError::Stalled(within)),
            Ok(Ok(result)) => result.map_err(PrintError::Write)?,
            // The thread ended without a word: its panic has been shown.
            Ok(Err(_)) => {}
        }
        // What the thread said, or failed to say, was its last act.
        drop(self.thread.join());
        Ok(())
    }
}

impl Shared {
    fn losses(&self) -> MutexGuard<'_, Losses> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a line takes of the queue. One that is too large for any queue fills it.
fn size_of_line(line: &LogLine) -> u32 {
    let size = size_of::<LogLine>() + line.line.capacity();
    u32::try_from(size).unwrap_or(QUEUE_BYTES).min(QUEUE_BYTES)
}

fn is_count(line: &LogLine) -> bool {
    line.dropped > 0 && line.line.is_empty() && line.stream == updraft_system::LogStream::Updraft
}

/// What the thread owns. Dropped with the thread, which tells the printer that it is over.
struct Writing {
    lines: mpsc::Receiver<LogLine>,
    shared: Arc<Shared>,
    rows: RowWriter,
    output: File,
}

impl Writing {
    fn run(&mut self) -> io::Result<()> {
        let result = match self.write_lines() {
            // As for every filter: who reads no more is not in error.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            result => result,
        };
        // Whoever waits for room is told that there will be none.
        self.lines.close();
        self.shared.room.close();
        result
    }

    fn write_lines(&mut self) -> io::Result<()> {
        let mut rows = String::new();
        while let Some(first) = self.lines.blocking_recv() {
            self.make_rows(first, &mut rows)?;
            self.write(&rows)?;
            rows.clear();
            if rows.capacity() > 4 * WRITE_BYTES {
                rows.shrink_to(WRITE_BYTES);
            }
            if self.lines.is_empty() {
                self.write_losses()?;
            }
        }
        self.write_losses()
    }

    /// Makes rows of what is queued, up to a write of a good size.
    fn make_rows(&mut self, first: LogLine, rows: &mut String) -> io::Result<()> {
        let mut next = Some(first);
        while let Some(line) = next {
            self.shared.room.add_permits(size_of_line(&line) as usize);
            self.rows.write(&line, rows).map_err(io::Error::other)?;
            next = if rows.len() < WRITE_BYTES { self.lines.try_recv().ok() } else { None };
        }
        Ok(())
    }

    /// The reader has caught up: it is told what it missed.
    fn write_losses(&mut self) -> io::Result<()> {
        let losses = self.shared.losses().notices();
        let mut rows = String::new();
        for line in &losses {
            self.rows.write(line, &mut rows).map_err(io::Error::other)?;
        }
        self.write(&rows)
    }

    /// Writes all rows, also to an output that another process has made non-blocking, as
    /// some do with the terminal they share with us.
    fn write(&mut self, rows: &str) -> io::Result<()> {
        let mut rest = rows.as_bytes();
        while !rest.is_empty() {
            match self.output.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.output, PollFlags::OUT)], None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "printer_tests.rs"]
mod tests;
