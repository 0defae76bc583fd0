//! The body of a request on its way to its handler: bounded in size, also when it is unpacked,
//! and in time, so that nobody holds a handler by sending a byte now and then.

mod pace;

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use flate2::write::MultiGzDecoder;
use http::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::connection::Requests;
use crate::problem::ProblemDetails;
use pace::Pace;

/// So many packed bytes are unpacked at once. Deflate makes at most 1032 bytes of one, so a
/// body exceeds its bound by less than half a mebibyte before that is seen.
const PIECE: usize = 512;

/// The body cannot be read to its end. What is said of it is told to the caller as well.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body has more than {0} bytes")]
    TooLarge(u64),
    #[error("the body came too slowly")]
    TooSlow,
    #[error("the body is not what its Content-Encoding says")]
    Packing(#[source] std::io::Error),
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

/// How a body failed, for whoever answers: handlers turn errors into answers of their own,
/// and seldom into the right ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate(Arc<AtomicU8>);

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Received {
    incoming: Incoming,
    most: u64,
    /// What may still come, as it comes.
    left: u64,
    pace: Pace,
    unpacking: Option<Box<Unpacking>>,
    fate: Fate,
    requests: Arc<Requests>,
}

#[derive(Debug)]
struct Unpacking {
    decoder: MultiGzDecoder<Vec<u8>>,
    packed: Bytes,
    /// What may still come out.
    left: u64,
    ended: bool,
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
}

impl Fate {
    const TOO_LARGE: u8 = 1;
    const TOO_SLOW: u8 = 2;
    const PACKING: u8 = 3;

    fn seal(&self, error: &BodyError) {
        let code = match error {
            BodyError::TooLarge(_) => Self::TOO_LARGE,
            BodyError::TooSlow => Self::TOO_SLOW,
            BodyError::Packing(_) => Self::PACKING,
            BodyError::Broken(_) => return,
        };
        self.0.store(code, Ordering::Relaxed);
    }

    /// What the caller must be told, when the body failed by the caller's fault.
    pub(super) fn problem(&self, most: u32) -> Option<ProblemDetails> {
        match self.0.load(Ordering::Relaxed) {
            Self::TOO_LARGE => Some(too_large(most)),
            Self::TOO_SLOW => Some(
                ProblemDetails::new(StatusCode::REQUEST_TIMEOUT).detail("the body came too slowly"),
            ),
            Self::PACKING => Some(
                ProblemDetails::new(StatusCode::BAD_REQUEST)
                    .detail("the body is not what its Content-Encoding says"),
            ),
            _ => None,
        }
    }
}

/// The refusal of a body that is too large.
pub(super) fn too_large(most: u32) -> ProblemDetails {
    ProblemDetails::new(StatusCode::PAYLOAD_TOO_LARGE)
        .detail(format!("a request body may have {most} bytes"))
}

impl Received {
    /// A body of one of these requests, within the bounds of their service.
    pub(super) fn new(incoming: Incoming, packing: Packing, requests: Arc<Requests>) -> Self {
        let limits = &requests.app.settings.limits;
        let (most, time) = (u64::from(limits.body_bytes.get()), limits.body_time);
        let unpacking = (packing == Packing::Gzip).then(|| {
            let decoder = MultiGzDecoder::new(Vec::new());
            Box::new(Unpacking { decoder, packed: Bytes::new(), left: most, ended: false })
        });
        let fate = Fate::default();
        Self { incoming, most, left: most, pace: Pace::new(time), unpacking, fate, requests }
    }

    pub(super) fn fate(&self) -> Fate {
        self.fate.clone()
    }

    /// The next piece as it comes.
    fn poll_wire(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                ready!(self.pace.poll_over(context));
                return Poll::Ready(Some(Err(BodyError::TooSlow)));
            }
        };
        if frame.is_none() || self.incoming.is_end_stream() {
            self.requests.body_read();
        }
        Poll::Ready(match frame {
            None => None,
            Some(Err(error)) => Some(Err(BodyError::Broken(error))),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.pace.came(length);
                match self.left.checked_sub(length) {
                    None => Some(Err(BodyError::TooLarge(self.most))),
                    Some(left) => {
                        self.left = left;
                        Some(Ok(frame))
                    }
                }
            }
        })
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let Some(unpacking) = &mut self.unpacking else { return self.poll_wire(context) };
            match unpacking.next(self.most) {
                Ok(None) if unpacking.ended => return Poll::Ready(None),
                Ok(None) => {}
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let frame = ready!(self.poll_wire(context)).transpose();
            let Some(unpacking) = &mut self.unpacking else { return Poll::Ready(None) };
            match frame {
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(data) => unpacking.packed = data,
                    // Trailers belong to the packed form.
                    Err(_trailers) => {}
                },
                Ok(None) => match unpacking.finish(self.most) {
                    Ok(data) if data.is_empty() => return Poll::Ready(None),
                    Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
            }
        }
    }
}

impl Unpacking {
    /// What comes out of the next piece.
    fn next(&mut self, most: u64) -> Result<Option<Bytes>, BodyError> {
        while !self.packed.is_empty() {
            let piece = self.packed.len().min(PIECE);
            self.decoder.write_all(&self.packed[..piece]).map_err(BodyError::Packing)?;
            self.packed.advance(piece);
            let data = self.take(most)?;
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    fn finish(&mut self, most: u64) -> Result<Bytes, BodyError> {
        self.ended = true;
        self.decoder.try_finish().map_err(BodyError::Packing)?;
        self.take(most)
    }

    fn take(&mut self, most: u64) -> Result<Bytes, BodyError> {
        let data = std::mem::take(self.decoder.get_mut());
        self.left = self.left.checked_sub(data.len() as u64).ok_or(BodyError::TooLarge(most))?;
        Ok(data.into())
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = ready!(self.poll(context));
        if let Some(Err(error)) = &polled {
            self.fate.seal(error);
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.unpacking.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.unpacking {
            None => self.incoming.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}
