//! A stream that tells when bytes have come, and that fails when the other side takes none
//! of an answer for too long, or goes away before it.

use std::cell::Cell;
use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::Requests;
use crate::web::listener::{Ahead, Stream};

/// An answer in several pieces (its header, its body) that is not longer is copied and sent as
/// one: the kernel takes one buffer for less than it takes several.
const GATHERED_MOST: usize = 4096;

/// How long the other side may go on sending after the last answer. What comes to a socket that
/// is closed is answered by a reset, which may take the answer away from whoever has not read it
/// yet, so a connection is closed in stages (RFC 9112, section 9.6).
const LINGERING: Duration = Duration::from_secs(1);

thread_local! {
    static GATHERED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug)]
pub(super) struct Watched {
    stream: Stream,
    requests: Arc<Requests>,
    write_time: Duration,
    /// Running while the other side takes nothing. Most answers never need it.
    stalled: Option<Pin<Box<Sleep>>>,
    /// There are bytes that nobody has read yet, so the end is not near.
    unread: bool,
    /// No more is sent.
    shut: bool,
    /// Running while what still comes is thrown away.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(super) fn new(stream: Stream, requests: Arc<Requests>, write_time: Duration) -> Self {
        Self {
            stream,
            requests,
            write_time,
            stalled: None,
            unread: false,
            shut: false,
            lingering: None,
        }
    }

    /// What became of a write, or its failure when nothing became of it for too long.
    fn judge<T>(&mut self, context: &mut Context<'_>, polled: Poll<Result<T>>) -> Poll<Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let time = self.write_time;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        stalled.as_mut().poll(context).map(|()| Err(ErrorKind::TimedOut.into()))
    }

    /// Whether the other side has gone while its request is answered, of which hyper learns
    /// nothing where it does not read meanwhile ([`super::Protocol`]). This task is woken when
    /// it goes.
    fn is_deserted(&mut self, context: &mut Context<'_>) -> bool {
        if self.unread || !self.requests.is_answering() {
            return false;
        }
        let ahead = self.stream.poll_ahead(context);
        self.unread = ahead == Poll::Ready(Ahead::Bytes);
        ahead == Poll::Ready(Ahead::End)
    }

    /// Throws away what the other side still sends, until it closes as well or it was time enough.
    fn poll_lingering(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let over = self.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGERING)));
        if over.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let mut bytes = [0; 4096];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if before < buffer.filled().len() {
            self.unread = false;
            self.requests.bytes_came();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if GATHERED_MOST < length {
            let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
            return self.judge(context, polled);
        }
        let mut gathered = GATHERED.take();
        gathered.clear();
        slices.iter().for_each(|slice| gathered.extend_from_slice(slice));
        let polled = self.poll_write(context, &gathered);
        GATHERED.set(gathered);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        let judged = self.judge(context, polled);
        // hyper flushes whenever there is nothing else to do, so also while a handler is at work.
        if matches!(judged, Poll::Ready(Ok(()))) && self.is_deserted(context) {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        judged
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.shut {
            let polled = Pin::new(&mut self.stream).poll_shutdown(context);
            ready!(self.judge(context, polled))?;
            self.shut = true;
        }
        if self.requests.is_sent_more() {
            ready!(self.poll_lingering(context));
        }
        Poll::Ready(Ok(()))
    }
}
