//! Reads one pipe of one process to its end, and waits for nothing but the pipe.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, timeout_at};
use updraft_system::{LogSource, LogStream};

use super::LogStore;
use super::framing::{Framer, Pieces};

/// What one read takes: the default size of a pipe.
const READ_BYTES: usize = 64 << 10;

/// The size of every pipe: it lets us be late by 25 ms when a program writes 10 MB/s.
const PIPE_BYTES: usize = 256 << 10;

/// The size of the pipe of a program that was seen to write fast. Not of every pipe: the
/// kernel grants each user 64 of these, and cuts down all later pipes of one who has more.
const FAST_PIPE_BYTES: usize = 1 << 20;

thread_local! {
    /// One buffer for all pipes that a thread reads: 64 KiB for each pipe would be most
    /// of our memory, and between two reads none of it is in use.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A pipe could not be read; its lines end here.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the {stream} of {source_name}")]
pub struct CaptureError {
    source_name: LogSource,
    stream: &'static str,
    #[source]
    cause: io::Error,
}

impl LogStore {
    /// Reads `pipe` to its end, as lines of `source`. The future is to be run at once:
    /// the program waits when its pipe is full. Dropped early, it keeps what it has read.
    pub fn capture(
        &self,
        source: LogSource,
        stream: LogStream,
        pipe: OwnedFd,
    ) -> impl Future<Output = Result<(), CaptureError>> + Send + use<> {
        let capture = Capture {
            store: self.clone(),
            source: Arc::new(source),
            stream,
            framer: Framer::new(self.limits().line_bytes),
        };
        capture.run(pipe)
    }

    /// Reads both outputs of a process in one task. Between two pipes the kernel keeps no
    /// order; when both have something, standard output is taken first, so that an error
    /// message comes after what led to it.
    pub fn capture_both(
        &self,
        source: LogSource,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> impl Future<Output = Result<(), CaptureError>> + Send + use<> {
        let stdout = self.capture(source.clone(), LogStream::Stdout, stdout);
        let stderr = self.capture(source, LogStream::Stderr, stderr);
        async {
            let (stdout, stderr) = tokio::join!(biased; stdout, stderr);
            stdout.and(stderr)
        }
    }
}

struct Capture {
    store: LogStore,
    source: Arc<LogSource>,
    stream: LogStream,
    framer: Framer,
}

impl Capture {
    async fn run(mut self, pipe: OwnedFd) -> Result<(), CaptureError> {
        match self.read_to_end(pipe).await {
            Ok(()) => Ok(()),
            Err(cause) => Err(CaptureError {
                source_name: LogSource::clone(&self.source),
                stream: match self.stream {
                    LogStream::Stdout => "standard output",
                    LogStream::Stderr => "standard error",
                    LogStream::Updraft => "notices",
                },
                cause,
            }),
        }
    }

    async fn read_to_end(&mut self, pipe: OwnedFd) -> io::Result<()> {
        let pipe = Receiver::from_owned_fd(pipe)?;
        enlarge(&pipe, PIPE_BYTES);
        let mut is_fast = false;
        let mut partial_due: Option<Instant> = None;
        loop {
            let readable = match partial_due {
                Some(due) => timeout_at(due, pipe.readable()).await,
                None => Ok(pipe.readable().await),
            };
            let Ok(readable) = readable else {
                partial_due = None;
                let pieces = self.framer.flush_partial();
                self.append(pieces);
                continue;
            };
            readable?;
            let (length, pieces) = match self.read(&pipe) {
                Ok((0, _)) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            if length == READ_BYTES && !is_fast {
                is_fast = true;
                enlarge(&pipe, FAST_PIPE_BYTES);
            }
            partial_due = match self.framer.has_pending() {
                true if pieces.is_empty() && partial_due.is_some() => partial_due,
                true => Some(Instant::now() + self.store.limits().partial_after),
                false => None,
            };
            self.append(pieces);
            // A pipe that is never empty would keep the thread from all others.
            tokio::task::coop::consume_budget().await;
        }
    }

    fn read(&mut self, pipe: &Receiver) -> io::Result<(usize, Pieces)> {
        SCRATCH.with_borrow_mut(|scratch| {
            let length = pipe.try_read(scratch)?;
            Ok((length, self.framer.push(&scratch[..length])))
        })
    }

    fn append(&self, pieces: Pieces) {
        if !pieces.is_empty() {
            self.store.append(&self.source, self.stream, pieces);
        }
    }
}

fn enlarge(pipe: &Receiver, bytes: usize) {
    // A refusal leaves the pipe as it is, which still works.
    let _size = rustix::pipe::fcntl_setpipe_size(pipe, bytes);
}

impl Drop for Capture {
    /// The last line of a program that ended, or was ended, often has no line feed.
    fn drop(&mut self) {
        let pieces = self.framer.finish();
        self.append(pieces);
    }
}
