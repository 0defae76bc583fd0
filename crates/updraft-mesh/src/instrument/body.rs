//! The body of an HTTP request or response as an instrument lets it through: counted, stalled
//! with everything else, ended too early on purpose.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::exchange::{HTTP_REQUEST, HTTP_RESPONSE};
use super::{Direction, Instrument};

pin_project! {
    /// A body of [`Bytes`] on its way. Costs one relaxed load for each frame while the
    /// instrument is off.
    pub struct Body<B> {
        #[pin]
        inner: B,
        instrument: Arc<Instrument>,
        direction: Direction,
        // What of it may pass until the cut.
        left: Option<u64>,
        stalled: Option<Stall>,
        waiting: Option<Frame<Bytes>>,
    }
}

/// The wait for the end of a stall.
type Stall = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Why there is no more of a body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError<E> {
    /// It came to an end by itself.
    #[error("the body could not be read")]
    Inner(#[source] E),
    /// It was cut on purpose.
    #[error("the body was cut on purpose")]
    Cut,
}

impl<B> Body<B> {
    /// The body, uncut.
    #[must_use]
    pub fn new(inner: B, instrument: Arc<Instrument>, direction: Direction) -> Self {
        Self { inner, instrument, direction, left: None, stalled: None, waiting: None }
    }

    /// The body, whose reader meets an error after `bytes` bytes, and before its last byte.
    #[must_use]
    pub fn cut_after(self, bytes: u64) -> Self {
        Self { left: Some(bytes), ..self }
    }
}

impl<B> std::fmt::Debug for Body<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("direction", &self.direction)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl<B: HttpBody<Data = Bytes>> HttpBody for Body<B> {
    type Data = Bytes;
    type Error = BodyError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        if *this.left == Some(0) {
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        if this.waiting.is_none() {
            match ready!(this.inner.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => *this.waiting = Some(frame),
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Inner(error)))),
                None if this.left.is_some() => return Poll::Ready(Some(Err(BodyError::Cut))),
                None => return Poll::Ready(None),
            }
        }
        if this.stalled.is_none() && this.instrument.stalls_all(*this.direction) {
            let (instrument, direction) = (Arc::clone(this.instrument), *this.direction);
            *this.stalled = Some(Box::pin(async move { instrument.until_flows(direction).await }));
        }
        if let Some(stall) = this.stalled.as_mut() {
            ready!(stall.as_mut().poll(cx));
            *this.stalled = None;
        }
        let Some(frame) = this.waiting.take() else { return Poll::Ready(None) };
        let ends = this.inner.is_end_stream();
        let frame = match this.left.as_mut() {
            None => frame,
            Some(left) => match shortened(frame, left, ends) {
                Some(frame) => frame,
                None => return Poll::Ready(Some(Err(BodyError::Cut))),
            },
        };
        if !this.instrument.is_off()
            && let Some(data) = frame.data_ref()
        {
            this.instrument.flowed(*this.direction, data.len());
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && self.waiting.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.waiting.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}

/// As much of a frame as may pass; `None` when nothing of it may. Trailers are the end of a
/// body, which never comes.
fn shortened(frame: Frame<Bytes>, left: &mut u64, ends: bool) -> Option<Frame<Bytes>> {
    let mut data = frame.into_data().ok()?;
    let most = data.len().saturating_sub(usize::from(ends));
    let pass = usize::try_from(*left).unwrap_or(usize::MAX).min(most);
    let whole = pass == data.len();
    data.truncate(pass);
    let passed = u64::try_from(pass).unwrap_or(u64::MAX);
    *left = if whole { left.saturating_sub(passed) } else { 0 };
    (pass > 0).then(|| Frame::data(data))
}

impl Instrument {
    async fn until_flows(&self, direction: Direction) {
        let epoch = self.epoch();
        while self.stalls_all(direction) {
            let active = self.active();
            if active.stalls_all(direction) {
                self.until_changed(active.generation, epoch).await;
            }
        }
    }

    /// Bytes of a body that passed.
    fn flowed(&self, direction: Direction, bytes: usize) {
        let kind = match direction {
            Direction::Request => HTTP_REQUEST,
            Direction::Response => HTTP_RESPONSE,
        };
        self.tally.more(direction, kind, u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
