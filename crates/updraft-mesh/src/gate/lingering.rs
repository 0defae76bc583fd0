//! The end of a connection whose client may still be sending: the refusal, if there is one, is written, the write side is
//! closed, and what still comes is read for a while. A socket that is closed with unread
//! bytes is reset, and the reset may take the refusal from the client (RFC 9112, 9.6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::problem;
use super::rule::Rule;

/// The longest that the client is waited for.
const LINGER_TIME: Duration = Duration::from_secs(1);
/// The most that is read from it.
const LINGER_BYTES: usize = 256 * 1024;

/// Polled until it is over.
#[derive(Debug)]
pub(super) struct Lingering {
    /// The wire was free for the refusal: what hyper says in its place goes nowhere.
    pub(super) answers: bool,
    answer: Vec<u8>,
    written: usize,
    phase: Phase,
    read: usize,
    until: Pin<Box<Sleep>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Write,
    Flush,
    Shutdown,
    Read,
    Over,
}

impl Lingering {
    /// Answers with the rule, if there is one and the wire is free for an answer.
    pub(super) fn new(rule: Option<Rule>) -> Self {
        let (answers, answer) = (rule.is_some(), rule.map(problem::http1).unwrap_or_default());
        let until = Box::pin(tokio::time::sleep(LINGER_TIME));
        Self { answers, answer, written: 0, phase: Phase::Write, read: 0, until }
    }

    /// Goes on. The time bounds all of it: a client that does not read is not waited for.
    pub(super) fn poll<T>(&mut self, mut io: Pin<&mut T>, cx: &mut Context<'_>) -> Poll<()>
    where
        T: AsyncRead + AsyncWrite,
    {
        if self.phase == Phase::Over {
            return Poll::Ready(());
        }
        match self.step(io.as_mut(), cx) {
            Poll::Pending if self.until.as_mut().poll(cx).is_pending() => Poll::Pending,
            _ => {
                self.phase = Phase::Over;
                Poll::Ready(())
            }
        }
    }

    fn step<T>(&mut self, mut io: Pin<&mut T>, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        T: AsyncRead + AsyncWrite,
    {
        loop {
            self.phase = match self.phase {
                Phase::Write => {
                    let rest = &self.answer[self.written..];
                    if rest.is_empty() {
                        Phase::Flush
                    } else {
                        match ready!(io.as_mut().poll_write(cx, rest))? {
                            0 => Phase::Over,
                            count => {
                                self.written += count;
                                Phase::Write
                            }
                        }
                    }
                }
                Phase::Flush => {
                    ready!(io.as_mut().poll_flush(cx))?;
                    Phase::Shutdown
                }
                Phase::Shutdown => {
                    ready!(io.as_mut().poll_shutdown(cx))?;
                    Phase::Read
                }
                Phase::Read => {
                    let mut space = [0; 2048];
                    let mut buf = ReadBuf::new(&mut space);
                    ready!(io.as_mut().poll_read(cx, &mut buf))?;
                    self.read += buf.filled().len();
                    let end = buf.filled().is_empty() || self.read > LINGER_BYTES;
                    if end { Phase::Over } else { Phase::Read }
                }
                Phase::Over => return Poll::Ready(Ok(())),
            };
        }
    }
}
