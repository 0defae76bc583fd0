//! The body of a response on its way to the caller: watched, bounded in silence, counted.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::time::{Instant, Sleep, sleep_until};

use super::meaning;
use super::record::Record;
use crate::gate::{self, Side};
use crate::observe::Outcome;
use crate::pool::PooledBody;

/// A response's body.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// The gateway's own.
    Own(Full<Bytes>, Option<Record>),
    /// An endpoint's.
    Through(Through),
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenBody {
    /// The endpoint's part.
    #[error("the endpoint broke off")]
    Endpoint(#[source] hyper::Error),
    /// Nothing came for too long.
    #[error("nothing came from the endpoint for {0:?}")]
    Idle(Duration),
    /// An instrument wants it.
    #[error("the response is cut on purpose")]
    Cut,
}

/// The body of an endpoint's response.
#[derive(Debug)]
pub(crate) struct Through {
    body: PooledBody,
    record: Record,
    side: Side,
    idle: Duration,
    /// Made when the body first has to be waited for: when something came last, and the timer.
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
    ended: bool,
    /// Breaks off after so many more bytes.
    cut_after: Option<u64>,
}

impl ResponseBody {
    /// A body of the gateway itself.
    pub(crate) fn own(body: Full<Bytes>) -> Self {
        Self::Own(body, None)
    }

    /// An endpoint's, which may be silent for `idle`.
    pub(crate) fn through(
        body: PooledBody,
        record: Record,
        side: Side,
        idle: Duration,
        cut_after: Option<u64>,
    ) -> Self {
        let ended = body.is_end_stream();
        let wait = None;
        Self::Through(Through { body, record, side, idle, wait, ended, cut_after })
    }

    /// None: the request has ended.
    pub(crate) fn empty(record: Record) -> Self {
        Self::Own(Full::default(), Some(record))
    }

    /// The request of this body ends with it.
    pub(crate) fn recorded(self, record: Record) -> Self {
        match self {
            Self::Own(body, _) => Self::Own(body, Some(record)),
            through @ Self::Through(_) => through,
        }
    }
}

impl Through {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some((last, _)) = &mut self.wait {
                    *last = Instant::now();
                }
                if self.is_cut(&frame) {
                    self.record.outcome(Outcome::Error);
                    return Poll::Ready(Some(Err(BrokenBody::Cut)));
                }
                Poll::Ready(Some(Ok(self.passed(frame))))
            }
            Poll::Ready(Some(Err(error))) => {
                self.record.outcome(Outcome::Error);
                Poll::Ready(Some(Err(BrokenBody::Endpoint(error))))
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => self.wait(cx),
        }
    }

    /// Whether this frame goes beyond where an instrument cuts.
    fn is_cut(&mut self, frame: &Frame<Bytes>) -> bool {
        let Some(left) = &mut self.cut_after else { return false };
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        match left.checked_sub(length) {
            Some(rest) if frame.is_data() => {
                *left = rest;
                false
            }
            _ => true,
        }
    }

    fn passed(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(data) => {
                self.record.passed(data.len());
                self.ended = self.body.is_end_stream();
                Frame::data(data)
            }
            Err(frame) => match frame.into_trailers() {
                Ok(mut trailers) => {
                    self.ended = true;
                    if let (Side::Grpc, Some(code)) = (self.side, meaning::grpc_status(&trailers)) {
                        self.record.outcome(Outcome::Grpc(u32::from(code)));
                    }
                    gate::trailers(&mut trailers, self.side);
                    Frame::trailers(trailers)
                }
                Err(frame) => frame,
            },
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let idle = self.idle;
        let (last, timer) = self.wait.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + idle)))
        });
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // Something came since the timer was set: it is asked again for the rest.
        let end = *last + idle;
        if Instant::now() < end {
            timer.as_mut().reset(end);
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        self.record.outcome(Outcome::Error);
        Poll::Ready(Some(Err(BrokenBody::Idle(self.idle))))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        match self.get_mut() {
            Self::Own(body, record) => {
                let polled = Pin::new(body).poll_frame(cx);
                polled.map(|frame| {
                    frame.map(|frame| match frame {
                        Ok(frame) => {
                            if let (Some(record), Some(data)) = (record, frame.data_ref()) {
                                record.passed(data.len());
                            }
                            Ok(frame)
                        }
                        Err(never) => match never {},
                    })
                })
            }
            Self::Through(through) => through.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body, _) => body.is_end_stream(),
            Self::Through(through) => through.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body, _) => body.size_hint(),
            Self::Through(through) => through.body.size_hint(),
        }
    }
}

impl Drop for Through {
    fn drop(&mut self) {
        if !self.ended {
            // The caller went away before the end.
            self.record.outcome(Outcome::Error);
        }
    }
}
