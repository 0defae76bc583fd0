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
            // Only the source below fills the channel, so there is nothing to wait for here;
            // and unlike `poll_recv` this gets the lines out when the task's budget is spent.
            while frame.len() < FRAME_BYTES
                && let Ok(line) = self.lines.try_recv()
            {
                frame.put(line);
            }
            if frame.len() >= FRAME_BYTES {
                break;
            }
            let Some(source) = &mut self.source else { break };
            match source.as_mut().poll(cx) {
                Poll::Ready(()) => self.source = None,
                // It sent lines before it had to wait.
                Poll::Pending if !self.lines.is_empty() => {}
                Poll::Pending if frame.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready((!frame.is_empty()).then(|| Ok(Frame::data(frame.freeze()))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    /// More than one poll of a task may do before the runtime makes it yield.
    const LINES: usize = 100_000;

    #[test]
    fn a_flood_of_lines_comes_through_whole_and_in_order() {
        let (read, result) = std::sync::mpsc::channel();
        // On a thread of its own: a stream that spins would never give ours back.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let whole = runtime.block_on(async {
                let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
                let stream = LineStream::new(slot, async |lines| {
                    for number in 0..LINES {
                        lines.send(&number).await;
                        // As a source does that takes its lines from elsewhere.
                        tokio::task::consume_budget().await;
                    }
                });
                tokio::spawn(stream.collect()).await.unwrap().unwrap().to_bytes()
            });
            read.send(whole).unwrap();
        });
        let whole = result.recv_timeout(Duration::from_secs(60)).expect("the stream ends");
        let expected: String = (0..LINES).map(|number| format!("{number}\n")).collect();
        assert!(whole == expected, "lines are missing or out of order");
    }
}
