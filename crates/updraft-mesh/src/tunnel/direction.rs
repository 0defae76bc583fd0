//! One direction of a tunnel.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::duplex::Duplex;
use super::pipe::Pipe;
use super::write_zero;

/// The buffer of a direction in which little passes.
const SMALLEST: usize = 1024;

/// The buffer of a busy direction.
const LARGEST: usize = 64 * 1024;

/// By how much a buffer grows or shrinks at a time.
const STEP: usize = 4;

/// So many reads in a row that leave most of the buffer empty, and it shrinks.
const SMALL_READS: u8 = 32;

/// So many reads in a row that fill the largest buffer, and the kernel takes over: system calls
/// for the pipe are worth it then.
const FULL_READS: u8 = 4;

/// Bytes from one stream to another.
pub(super) struct Direction<'a> {
    pass: Pass,
    stage: Stage,
    moved: u64,
    unflushed: bool,
    small: u8,
    full: u8,
    /// The system gave no pipe; it is not asked again.
    refused: bool,
    counter: &'a AtomicU64,
    spliced: &'a AtomicU64,
}

enum Pass {
    /// Bytes from `start` to `end` are to be written.
    Copy {
        buffer: Vec<u8>,
        start: usize,
        end: usize,
    },
    Splice(Pipe),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The reader has ended; the writer is to be told.
    Ended,
    Closed,
}

impl<'a> Direction<'a> {
    /// A direction that adds to `counter` what has passed, and to `spliced` what the kernel did.
    pub(super) fn new(counter: &'a AtomicU64, spliced: &'a AtomicU64) -> Self {
        Self {
            pass: Pass::empty(SMALLEST),
            stage: Stage::Open,
            moved: 0,
            unflushed: false,
            small: 0,
            full: 0,
            refused: false,
            counter,
            spliced,
        }
    }

    /// Bytes that have passed.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether no more bytes come from the reader.
    pub(super) fn has_ended(&self) -> bool {
        self.stage != Stage::Open
    }

    /// Passes on what there is. Ready when the end has been passed on.
    pub(super) fn poll<R: Duplex, W: Duplex>(
        &mut self,
        from: &mut R,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write(to, cx))?;
            match self.stage {
                Stage::Open => {}
                Stage::Ended => {
                    match ready!(Pin::new(&mut *to).poll_shutdown(cx)) {
                        // Its peer has closed both directions already.
                        Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                        done => done?,
                    }
                    self.pass = Pass::empty(0);
                    self.stage = Stage::Closed;
                }
                Stage::Closed => return Poll::Ready(Ok(())),
            }
            if self.stage == Stage::Open {
                self.adapt(from, to);
                let polled = self.poll_read(from, cx);
                if polled.is_pending() && self.unflushed {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    self.unflushed = false;
                }
                ready!(polled)?;
            }
        }
    }

    fn poll_read<R: Duplex>(&mut self, from: &mut R, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (read, room) = match &mut self.pass {
            Pass::Copy { buffer, start, end } => {
                let mut free = ReadBuf::new(buffer);
                ready!(Pin::new(from).poll_read(cx, &mut free))?;
                (*start, *end) = (0, free.filled().len());
                (*end, buffer.len())
            }
            Pass::Splice(pipe) => match from.tcp() {
                Some(socket) => (ready!(pipe.poll_fill(socket, cx))?, SMALLEST * STEP),
                None => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
            },
        };
        if read == 0 {
            self.stage = Stage::Ended;
        }
        self.small = if read < room / STEP { self.small.saturating_add(1) } else { 0 };
        self.full = if read == room { self.full.saturating_add(1) } else { 0 };
        Poll::Ready(Ok(()))
    }

    fn poll_write<W: Duplex>(&mut self, to: &mut W, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let written = match &mut self.pass {
                Pass::Copy { start, end, .. } if start == end => return Poll::Ready(Ok(())),
                Pass::Copy { buffer, start, end } => {
                    let left = buffer.get(*start..*end).unwrap_or_default();
                    let written = ready!(Pin::new(&mut *to).poll_write(cx, left))?;
                    if written == 0 {
                        return Poll::Ready(Err(write_zero()));
                    }
                    *start += written;
                    self.unflushed = true;
                    written
                }
                Pass::Splice(pipe) if pipe.is_empty() => return Poll::Ready(Ok(())),
                Pass::Splice(pipe) => match to.tcp() {
                    Some(socket) => ready!(pipe.poll_drain(socket, cx))?,
                    None => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
                },
            };
            self.count(u64::try_from(written).unwrap_or(u64::MAX));
        }
    }

    fn count(&mut self, bytes: u64) {
        self.moved = self.moved.saturating_add(bytes);
        self.counter.fetch_add(bytes, Ordering::Relaxed);
        if matches!(self.pass, Pass::Splice(_)) {
            self.spliced.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Chooses how the next bytes pass, while none are held.
    fn adapt<R: Duplex, W: Duplex>(&mut self, from: &R, to: &W) {
        let size = match &self.pass {
            Pass::Copy { buffer, .. } => buffer.len(),
            Pass::Splice(_) => LARGEST,
        };
        let next = if self.small >= SMALL_READS && size > SMALLEST {
            Pass::empty((size / STEP).max(SMALLEST))
        } else if self.full > 0 && size < LARGEST {
            Pass::empty(size * STEP)
        } else if self.full >= FULL_READS
            && !self.refused
            && matches!(self.pass, Pass::Copy { .. })
            && from.tcp().is_some()
            && to.tcp().is_some()
        {
            match Pipe::new() {
                Ok(pipe) => Pass::Splice(pipe),
                Err(_) => {
                    self.refused = true;
                    return;
                }
            }
        } else {
            return;
        };
        self.pass = next;
        self.small = 0;
        self.full = 0;
    }
}

impl Pass {
    fn empty(size: usize) -> Self {
        Self::Copy { buffer: vec![0; size], start: 0, end: 0 }
    }
}
