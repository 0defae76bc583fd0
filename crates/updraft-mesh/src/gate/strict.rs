//! The byte stream under hyper's HTTP/1 server.
//!
//! Hyper gets the head of a request once the whole head is checked, and gets one request at a
//! time: the next head is not even looked at before the answer to the one before it is
//! written. So there is never an answer owed when a head is refused, and the refusal comes in
//! order. Requests that come ahead of that wait here, in what one read brought.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::answers::Answers;
use super::half_closed::{HalfClosed, Presence};
use super::lingering::Lingering;
use super::patience::{Awaited, Overdue, Patience, Wait};
use super::rule::Rule;
use super::scan::{ScanLimits, Scanner, Then};

/// Hears of every rule that a connection broke; at most once for each connection.
pub(crate) type Report = Arc<dyn Fn(Rule) + Send + Sync>;

/// Room that is kept when nothing waits in it.
const KEPT_BYTES: usize = 4 * 1024;

pin_project_lite::pin_project! {
    /// A connection whose requests are checked as they are read, and which answers by itself
    /// to the first one that breaks a [`Rule`].
    ///
    /// Hyper on top of it must have the same bounds or wider ones (`max_headers`,
    /// `max_header_size`), and half close switched off.
    pub(crate) struct StrictIo<T> {
        #[pin]
        io: T,
        gate: Gate,
        reset: Option<fn(&T)>,
        presence: Option<fn(&T) -> Presence>,
    }
}

struct Gate {
    scanner: Scanner,
    answers: Answers,
    held: Held,
    /// A rule was broken by what comes next.
    broken: Option<Rule>,
    lingering: Option<Box<Lingering>>,
    /// Whoever waits for an answer to end, so that the next request may pass.
    waiting: Option<Waker>,
    report: Report,
    patience: Option<Patience>,
    half_closed: Option<HalfClosed>,
    reading: Wait,
    writing: Wait,
}

/// Bytes that were read and not handed on.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    start: usize,
    /// So many may be handed on.
    ready: usize,
}

impl Held {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.ready.min(buf.remaining());
        buf.put_slice(&self.bytes[self.start..self.start + count]);
        self.start += count;
        self.ready -= count;
        if self.is_empty() {
            self.start = 0;
            if self.bytes.capacity() > KEPT_BYTES {
                self.bytes = Vec::new();
            } else {
                self.bytes.clear();
            }
        }
    }
}

impl<T> StrictIo<T> {
    /// Checks what comes out of `io`; `report` hears of the rule that was broken.
    pub(crate) fn new(io: T, limits: ScanLimits, report: Report) -> Self {
        let gate = Gate {
            scanner: Scanner::new(limits),
            answers: Answers::default(),
            held: Held::default(),
            broken: None,
            lingering: None,
            waiting: None,
            report,
            patience: None,
            half_closed: None,
            reading: Wait::default(),
            writing: Wait::default(),
        };
        Self { io, gate, reset: None, presence: None }
    }

    /// Keeps the end of the client's half from hyper until what it has asked for is answered,
    /// unless `presence` says that it has gone altogether.
    pub(crate) fn half_closing(mut self, presence: fn(&T) -> Presence) -> Self {
        self.presence = Some(presence);
        self
    }

    /// Bounds how long the client may take. Hyper's own timer is not needed then. A client
    /// that takes no answer is `reset`, or the kernel would keep the answer for it.
    pub(crate) fn patient(mut self, patience: Patience, reset: fn(&T)) -> Self {
        self.gate.patience = Some(patience);
        self.reset = Some(reset);
        self
    }
}

impl<T> fmt::Debug for StrictIo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gate { scanner, answers, broken, .. } = &self.gate;
        let mut debug = f.debug_struct("StrictIo");
        debug.field("scanner", scanner).field("answers", answers).field("broken", broken);
        debug.finish_non_exhaustive()
    }
}

impl Gate {
    /// Whether the next byte belongs to a request whose turn has not come.
    fn must_wait(&self) -> bool {
        !self.scanner.in_body() && !self.answers.is_done() && !self.answers.is_switched()
    }

    /// How many of the bytes may be handed on.
    fn check(&mut self, bytes: &[u8]) -> usize {
        if self.answers.is_switched() {
            return bytes.len();
        }
        if self.broken.is_some() || self.must_wait() {
            return 0;
        }
        let taken = self.scanner.advance(bytes);
        if taken.bytes > 0 {
            self.reading.end();
        }
        if let Some(request) = taken.request {
            self.answers.owe(request);
        }
        if let Then::Refused(rule) = taken.then {
            self.broken = Some(rule);
            (self.report)(rule);
        }
        taken.bytes
    }

    /// Whether the client is known to have said more than hyper has read.
    fn is_unread(&self) -> bool {
        let more = self.scanner.in_body() || !self.held.is_empty();
        more && !self.answers.is_switched()
    }

    /// Ready once the client took too long to say more.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(patience) = &self.patience else { return Poll::Pending };
        if self.answers.is_switched() || self.must_wait() || self.scanner.in_body() {
            self.reading.end();
            return Poll::Pending;
        }
        let awaited = if self.scanner.in_head() { Awaited::Head } else { Awaited::Request };
        ready!(self.reading.poll(awaited, patience, cx));
        if awaited == Awaited::Head {
            self.broken = Some(Rule::HeadTimeout);
            (self.report)(Rule::HeadTimeout);
        } else {
            (patience.ended)(Overdue::Request);
        }
        Poll::Ready(())
    }

    /// Ready once the client took too long to take what is written.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(patience) = &self.patience else { return Poll::Pending };
        if self.answers.is_switched() {
            return Poll::Pending;
        }
        ready!(self.writing.poll(Awaited::Room, patience, cx));
        (patience.ended)(Overdue::Answer);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn wrote(&mut self, bytes: &[u8]) {
        self.writing.end();
        self.answers.wrote(bytes);
        if let Some(half_closed) = &mut self.half_closed {
            half_closed.wrote();
        }
        if !self.must_wait()
            && let Some(waiting) = self.waiting.take()
        {
            waiting.wake();
        }
    }

    /// Ends the connection, with an answer of its own if none has begun: before a head none
    /// is owed, within a body the one to its request may be under way.
    fn refuse(&mut self, rule: Rule) -> &mut Lingering {
        let free = !self.scanner.in_body() || self.answers.is_untouched();
        self.lingering.get_or_insert_with(|| Box::new(Lingering::new(free.then_some(rule))))
    }
}

impl<T: AsyncRead + AsyncWrite> StrictIo<T> {
    fn poll_refused(
        self: Pin<&mut Self>,
        rule: Rule,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let in_body = this.gate.scanner.in_body();
        let over = this.gate.refuse(rule).poll(this.io, cx);
        if in_body {
            // Not an end: the upstream must not take the body for whole.
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, rule.name())));
        }
        ready!(over);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite> AsyncRead for StrictIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut this = self.as_mut().project();
            let gate = &mut *this.gate;
            if gate.held.ready == 0 && !gate.held.is_empty() {
                let held = std::mem::take(&mut gate.held);
                let ready = gate.check(held.rest());
                gate.held = Held { ready, ..held };
            }
            if gate.held.ready > 0 {
                gate.held.hand_on(buf);
                return Poll::Ready(Ok(()));
            }
            if let Some(rule) = gate.broken {
                return self.as_mut().poll_refused(rule, cx);
            }
            if gate.must_wait() {
                gate.waiting = Some(cx.waker().clone());
                if !gate.held.is_empty() {
                    return Poll::Pending;
                }
            }
            let before = buf.filled().len();
            match this.io.as_mut().poll_read(cx, buf) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    ready!(gate.poll_overdue(cx));
                    if gate.broken.is_some() {
                        continue;
                    }
                    return Poll::Ready(Ok(()));
                }
            }
            let new = &buf.filled()[before..];
            if new.is_empty() {
                if let Some(presence) = this.presence.filter(|_| gate.must_wait()) {
                    let half_closed = gate.half_closed.get_or_insert_with(HalfClosed::new);
                    ready!(half_closed.poll_gone(|| presence(&this.io), cx));
                }
                return Poll::Ready(Ok(()));
            }
            if gate.held.is_empty() {
                let passed = gate.check(new);
                gate.held.push(&new[passed..]);
                buf.set_filled(before + passed);
                if passed > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                gate.held.push(new);
                buf.set_filled(before);
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite> StrictIo<T> {
    /// What becomes of what hyper writes once a rule was broken; `None`: it is written.
    fn is_over(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<io::Result<()>> {
        let this = self.project();
        let lingering = this.gate.lingering.as_mut()?;
        let answers = lingering.answers;
        // It goes on behind whatever hyper does; what is left waits for `poll_shutdown`.
        let _later: Poll<()> = lingering.poll(this.io, cx);
        Some(if answers { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) })
    }
}

impl<T: AsyncRead + AsyncWrite> AsyncWrite for StrictIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(over) = self.as_mut().is_over(cx) {
            return Poll::Ready(over.map(|()| bytes.len()));
        }
        let mut this = self.project();
        let Poll::Ready(count) = this.io.as_mut().poll_write(cx, bytes) else {
            let stalled = this.gate.poll_stalled(cx);
            if let (Poll::Ready(_), Some(reset)) = (&stalled, this.reset) {
                reset(&this.io);
            }
            return stalled;
        };
        let count = count?;
        this.gate.wrote(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(over) = self.as_mut().is_over(cx) {
            return Poll::Ready(over.map(|()| slices.iter().map(|slice| slice.len()).sum()));
        }
        let mut this = self.project();
        let Poll::Ready(count) = this.io.as_mut().poll_write_vectored(cx, slices) else {
            let stalled = this.gate.poll_stalled(cx);
            if let (Poll::Ready(_), Some(reset)) = (&stalled, this.reset) {
                reset(&this.io);
            }
            return stalled;
        };
        let count = count?;
        let mut left = count;
        for slice in slices {
            let here = slice.len().min(left);
            this.gate.wrote(&slice[..here]);
            left -= here;
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.as_mut().is_over(cx).is_some() {
            return Poll::Ready(Ok(()));
        }
        self.project().io.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        if this.gate.is_unread() {
            this.gate.lingering.get_or_insert_with(|| Box::new(Lingering::new(None)));
        }
        match &mut this.gate.lingering {
            Some(lingering) => lingering.poll(this.io, cx).map(Ok),
            None => this.io.poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
#[path = "strict_tests.rs"]
mod tests;
