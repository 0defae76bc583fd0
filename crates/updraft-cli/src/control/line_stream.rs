//! A response body of JSON lines, made while it is read. It runs inside the
//! connection, so it ends with it: a reader that stops holds nothing but itself,
//! and one that leaves is noticed at once.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use hyper::body::{Body, Frame};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Lines that may wait between their source and the connection.
const LINES_WAITING_MAX: usize = 64;
/// Lines are sent together up to this many bytes.
const FRAME_BYTES: usize = 64 * 1024;

/// The body.
pub(crate) struct LineStream {
    source: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    lines: mpsc::Receiver<Bytes>,
    /// Its share of the streams that may be open.
    _slot: OwnedSemaphorePermit,
}

/// Where the source of a stream puts its lines.
#[derive(Clone, Debug)]
pub(super) struct LineSender(mpsc::Sender<Bytes>);

impl LineStream {
    /// A stream of what `source` sends until it ends.
    pub(super) fn new<F>(slot: OwnedSemaphorePermit, source: impl FnOnce(LineSender) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, lines) = mpsc::channel(LINES_WAITING_MAX);
        Self { source: Some(Box::pin(source(LineSender(sender)))), lines, _slot: slot }
    }
}

impl LineSender {
    /// Waits until the connection can take the line.
    pub(super) async fn send(&self, line: &impl Serialize) {
        let mut bytes = BytesMut::new().writer();
        // Our own types always serialise, and the receiver lives as long as we do.
        if serde_json::to_writer(&mut bytes, line).is_ok() {
            let mut bytes = bytes.into_inner();
            bytes.put_u8(b'\n');
            drop(self.0.send(bytes.freeze()).await);
        }
    }
}

impl Body for LineStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut frame = BytesMut::new();
        loop {
            match self.lines.poll_recv(cx) {
                Poll::Ready(Some(line)) => {
                    frame.put(line);
                    if frame.len() >= FRAME_BYTES {
                        break;
                    }
                    continue;
                }
                Poll::Ready(None) => break,
                Poll::Pending => {}
            }
            let Some(source) = &mut self.source else { break };
            match source.as_mut().poll(cx) {
                Poll::Ready(()) => self.source = None,
                // It may have sent lines before it had to wait.
                Poll::Pending if self.lines.is_empty() => {
                    if frame.is_empty() {
                        return Poll::Pending;
                    }
                    break;
                }
                Poll::Pending => {}
            }
        }
        Poll::Ready((!frame.is_empty()).then(|| Ok(Frame::data(frame.freeze()))))
    }
}
