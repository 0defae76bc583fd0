//! The body of a request that may have to be sent more than once: it streams as it comes, and
//! its beginning is kept until it is longer than a bound.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A request's body with what is kept of it.
#[derive(Debug)]
pub(crate) struct Replay(Option<Arc<Mutex<Kept>>>);

#[derive(Debug)]
struct Kept {
    /// `None`: all of it is there.
    source: Option<Incoming>,
    frames: VecDeque<Piece>,
    bytes: usize,
    bound: usize,
    /// Nothing is kept any more: what was read is gone.
    overflowed: bool,
    ended: bool,
    /// More was asked for, and the client has not sent it yet.
    awaited: bool,
    /// Which copy may read; an earlier one is of an attempt that was given up.
    copies: u64,
    passed: u64,
}

#[derive(Clone, Debug)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// One attempt's copy of the body. The newest copy alone reads from the client.
#[derive(Debug)]
pub(crate) struct ReplayBody {
    kept: Option<Arc<Mutex<Kept>>>,
    copy: u64,
    next: usize,
}

impl ReplayBody {
    /// A body that is there as a whole.
    pub(crate) fn of(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self { kept: None, copy: 0, next: 0 };
        }
        let length = bytes.len();
        let kept = Kept {
            source: None,
            frames: [Piece::Data(bytes)].into(),
            bytes: length,
            bound: length,
            overflowed: false,
            ended: true,
            awaited: false,
            copies: 0,
            passed: 0,
        };
        Self { kept: Some(Arc::new(Mutex::new(kept))), copy: 0, next: 0 }
    }
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client's part.
    #[error("the body of the request broke off")]
    Client(#[source] hyper::Error),
    /// The attempt was given up, and another one reads.
    #[error("another attempt reads the body")]
    Superseded,
}

impl Replay {
    /// Keeps at most `bound` bytes of `source`.
    pub(crate) fn new(source: Incoming, bound: usize) -> Self {
        if source.is_end_stream() {
            return Self(None);
        }
        let kept = Kept {
            source: Some(source),
            frames: VecDeque::new(),
            bytes: 0,
            bound,
            overflowed: false,
            ended: false,
            awaited: false,
            copies: 0,
            passed: 0,
        };
        Self(Some(Arc::new(Mutex::new(kept))))
    }

    /// Whether the body can be sent from its beginning.
    pub(crate) fn can_repeat(&self) -> bool {
        self.0.as_ref().is_none_or(|kept| !lock(kept).overflowed)
    }

    /// Whether it is the client that everybody waits for.
    pub(crate) fn awaits_client(&self) -> bool {
        self.0.as_ref().is_some_and(|kept| lock(kept).awaited)
    }

    /// A copy from the beginning; earlier copies end in an error.
    pub(crate) fn copy(&self) -> ReplayBody {
        let copy = self.0.as_ref().map_or(0, |kept| {
            let mut kept = lock(kept);
            kept.copies += 1;
            kept.copies
        });
        ReplayBody { kept: self.0.clone(), copy, next: 0 }
    }

    /// The whole body, once it has been read and where it was kept.
    pub(crate) fn whole(&self) -> Option<Bytes> {
        let Some(kept) = &self.0 else { return Some(Bytes::new()) };
        let kept = lock(kept);
        if !kept.ended || kept.overflowed {
            return None;
        }
        let data = kept.frames.iter().filter_map(|piece| match piece {
            Piece::Data(data) => Some(data),
            Piece::Trailers(_) => None,
        });
        Some(
            data.fold(Vec::with_capacity(kept.bytes), |mut all, data| {
                all.extend_from_slice(data);
                all
            })
            .into(),
        )
    }

    /// Bytes that came from the client so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |kept| lock(kept).passed)
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    fn keep(&mut self, piece: &Piece) {
        let length = match piece {
            Piece::Data(data) => data.len(),
            Piece::Trailers(_) => 0,
        };
        self.passed += length as u64;
        if self.overflowed {
            return;
        }
        self.bytes += length;
        if self.bound < self.bytes {
            self.overflowed = true;
            self.frames = VecDeque::new();
        } else {
            self.frames.push_back(piece.clone());
        }
    }
}

impl Body for ReplayBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(kept) = &this.kept else { return Poll::Ready(None) };
        let mut kept = lock(kept);
        if kept.copies != this.copy {
            return Poll::Ready(Some(Err(BodyError::Superseded)));
        }
        if let Some(piece) = kept.frames.get(this.next) {
            this.next += 1;
            return Poll::Ready(Some(Ok(piece.clone().into())));
        }
        if kept.ended {
            return Poll::Ready(None);
        }
        let Some(source) = &mut kept.source else { return Poll::Ready(None) };
        let polled = Pin::new(source).poll_frame(cx);
        kept.awaited = polled.is_pending();
        let frame = ready!(polled);
        let Some(frame) = frame.transpose().map_err(BodyError::Client)? else {
            kept.ended = true;
            return Poll::Ready(None);
        };
        let Some(piece) = Piece::of(frame) else { return Poll::Ready(None) };
        kept.keep(&piece);
        kept.ended |= kept.source.as_ref().is_none_or(Body::is_end_stream);
        this.next += 1;
        Poll::Ready(Some(Ok(piece.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.kept.as_ref().is_none_or(|kept| {
            let kept = lock(kept);
            kept.ended && kept.frames.len() <= self.next
        })
    }

    fn size_hint(&self) -> SizeHint {
        let Some(kept) = &self.kept else { return SizeHint::with_exact(0) };
        let kept = lock(kept);
        match &kept.source {
            None => SizeHint::with_exact(kept.bytes as u64),
            Some(source) if self.next == 0 && kept.passed == 0 => source.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

impl Piece {
    /// `None` for a kind of frame that does not exist yet.
    fn of(frame: Frame<Bytes>) -> Option<Self> {
        match frame.into_data() {
            Ok(data) => Some(Self::Data(data)),
            Err(frame) => frame.into_trailers().ok().map(|mut trailers| {
                crate::gate::trailers(&mut trailers, crate::gate::Side::Request);
                Self::Trailers(trailers)
            }),
        }
    }
}

impl From<Piece> for Frame<Bytes> {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Data(data) => Self::data(data),
            Piece::Trailers(trailers) => Self::trailers(trailers),
        }
    }
}
