//! Bodies of requests: bytes, or a part of a file that is read while it is sent.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead as _, AsyncSeekExt as _, ReadBuf};

use super::progress::Progress;
use crate::Digest;

/// How much of a file is in memory.
const PIECE: u64 = 64 << 10;

/// What is to be sent, as often as it must be.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Bytes(Bytes),
    Part(Part),
}

/// The bytes `start..end` of a blob's file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) digest: Digest,
    pub(super) total: u64,
    pub(super) progress: Progress,
}

impl Payload {
    pub(super) const EMPTY: Self = Self::Bytes(Bytes::new());

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part(part) => part.end.saturating_sub(part.start),
        }
    }

    /// One more sending of it.
    pub(super) async fn open(&self) -> io::Result<Content> {
        let source = match self {
            Self::Bytes(bytes) => Source::Bytes(bytes.clone()),
            Self::Part(part) => {
                let mut file = File::open(&part.path).await?;
                file.seek(io::SeekFrom::Start(part.start)).await?;
                Source::File {
                    file,
                    buffer: vec![0; usize::try_from(PIECE).unwrap_or(1)],
                    part: part.clone(),
                }
            }
        };
        Ok(Content { source, left: self.len(), pulse: Pulse::default() })
    }
}

/// Counts the bytes that were taken to be sent, for whoever watches that something moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body that is being sent.
#[derive(Debug)]
pub(super) struct Content {
    source: Source,
    left: u64,
    pulse: Pulse,
}

#[derive(Debug)]
enum Source {
    Bytes(Bytes),
    File { file: File, buffer: Vec<u8>, part: Part },
}

impl Content {
    pub(super) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let bytes = match &mut this.source {
            Source::Bytes(bytes) => std::mem::take(bytes),
            Source::File { file, buffer, part } => {
                let most = usize::try_from(this.left.min(PIECE)).unwrap_or(1);
                let room = buffer.get_mut(..most).unwrap_or_default();
                let mut read = ReadBuf::new(room);
                ready!(Pin::new(file).poll_read(context, &mut read))?;
                let bytes = Bytes::copy_from_slice(read.filled());
                if bytes.is_empty() {
                    let shorter =
                        io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter");
                    return Poll::Ready(Some(Err(shorter)));
                }
                let sent = part.end.saturating_sub(this.left) + bytes.len() as u64;
                part.progress.tell(&part.digest, sent, part.total);
                bytes
            }
        };
        this.left = this.left.saturating_sub(bytes.len() as u64);
        this.pulse.add(bytes.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
