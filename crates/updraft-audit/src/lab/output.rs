//! What a program writes, with the time each line came.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::{Notify, watch};

/// Lines kept of one program; the oldest go first.
const LINES_MAX: usize = 10_000;
/// The longest part of a line that is looked at, in bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// How long what a program wrote may take to be read when nothing of it is left: as long as a
/// machine takes that has much else to do.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(10);

/// One line that a program wrote.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Since the program was started.
    pub(crate) at: Duration,
    /// Whether it came by standard error.
    pub(crate) is_error: bool,
    pub(crate) text: String,
}

/// What a program has written so far.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    lines: Arc<Mutex<VecDeque<Line>>>,
    arrived: watch::Sender<u64>,
    /// Streams that have ended.
    ended: watch::Sender<u8>,
    /// Lets the readers begin.
    reading: Arc<Notify>,
    /// The pipes that nobody reads yet.
    pipes: Arc<Vec<OwnedFd>>,
}

impl Output {
    /// Reads both streams to their ends, from the beginning or from [`resume`](Self::resume) on.
    pub(super) fn of(stdout: OwnedFd, stderr: OwnedFd, began: Instant, at_once: bool) -> Self {
        let pipes = match at_once {
            true => Vec::new(),
            false => [&stdout, &stderr].iter().filter_map(|it| it.try_clone().ok()).collect(),
        };
        let output = Self {
            lines: Arc::default(),
            arrived: watch::Sender::new(0),
            ended: watch::Sender::new(0),
            reading: Arc::default(),
            pipes: Arc::new(pipes),
        };
        for (stream, is_error) in [(stdout, false), (stderr, true)] {
            let output = output.clone();
            tokio::spawn(async move {
                if !at_once {
                    output.reading.notified().await;
                }
                output.read(stream, is_error, began).await;
                output.ended.send_modify(|count| *count += 1);
            });
        }
        output
    }

    /// Begins to read what nobody has read so far.
    pub(crate) fn resume(&self) {
        self.reading.notify_waiters();
        self.reading.notify_one();
    }

    /// Makes the pipes that nobody reads as small as they can be, so that they fill soon.
    pub(crate) fn narrow(&self) {
        const PAGE: usize = 4096;
        for pipe in self.pipes.iter() {
            // A pipe that holds more already stays as it is; what it can hold is asked later.
            if rustix::pipe::fcntl_setpipe_size(pipe, PAGE).is_err() {
                continue;
            }
        }
    }

    /// Bytes that nobody has read, and how many there can be, of the pipe that holds more.
    pub(crate) fn unread(&self) -> (u64, u64) {
        let each = self.pipes.iter().map(|pipe| {
            let capacity = rustix::pipe::fcntl_getpipe_size(pipe).unwrap_or(0);
            let capacity = u64::try_from(capacity).unwrap_or(u64::MAX);
            (rustix::io::ioctl_fionread(pipe).unwrap_or(0), capacity)
        });
        each.max().unwrap_or((0, 0))
    }

    async fn read(&self, stream: OwnedFd, is_error: bool, began: Instant) {
        let Ok(stream) = pipe::Receiver::from_owned_fd(stream) else { return };
        let mut stream = BufReader::new(stream);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            // A line without an end is taken in parts, so that it needs no room.
            let mut part = tokio::io::AsyncReadExt::take(&mut stream, LINE_BYTES_MAX as u64);
            match part.read_until(b'\n', &mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            let mut lines = self.lines();
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(Line { at: began.elapsed(), is_error, text });
            drop(lines);
            self.arrived.send_modify(|count| *count += 1);
        }
    }

    /// Waits until nothing more can come: a program that has ended may have written more than
    /// was read. At most so long, for what it has started may hold the pipes.
    pub(super) async fn drained(&self, within: Duration) {
        let mut ended = self.ended.subscribe();
        drop(tokio::time::timeout(within, ended.wait_for(|count| *count == 2)).await);
    }

    /// All lines there are.
    pub(crate) fn all(&self) -> Vec<Line> {
        self.lines().iter().cloned().collect()
    }

    /// The last lines, for an error.
    pub(crate) fn tail(&self, count: usize) -> Vec<String> {
        let lines = self.lines();
        lines.iter().skip(lines.len().saturating_sub(count)).map(|line| line.text.clone()).collect()
    }

    /// The first line that fits, as soon as it is there.
    pub(crate) async fn line(
        &self,
        within: Duration,
        fits: impl Fn(&Line) -> bool,
    ) -> Option<Line> {
        let mut arrived = self.arrived.subscribe();
        let search = async {
            loop {
                arrived.borrow_and_update();
                if let Some(line) = self.lines().iter().find(|line| fits(line)) {
                    return Some(line.clone());
                }
                if arrived.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(within, search).await.ok().flatten()
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The readers are tasks, which nobody has let run when the program has ended already.
    #[tokio::test]
    async fn what_an_ended_program_wrote_is_read_before_its_last_lines_are_told() {
        use std::io::Write as _;
        let (stdout, mut program) = std::io::pipe().unwrap();
        let (stderr, errors) = std::io::pipe().unwrap();
        for number in 0..1000 {
            writeln!(program, "line {number}").unwrap();
        }
        drop((program, errors));
        let output = Output::of(stdout.into(), stderr.into(), Instant::now(), true);
        assert!(output.tail(1).is_empty());
        output.drained(LAST_WORDS).await;
        assert_eq!(output.tail(2), ["line 998", "line 999"]);
    }
}
