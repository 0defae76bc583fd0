//! Answers packed by gzip (RFC 9110, section 12.5.3) for callers that take it: of kinds that
//! shrink, large enough for it to pay, never of event streams, and never more at once than
//! memory allows.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::body::{Body as _, Frame};

/// Shorter answers fit into one packet anyway.
const LEAST: u64 = 1024;

/// Each one that is being packed holds some 300 KiB; further answers go as they are.
const AT_ONCE: u32 = 64;

/// So much is packed at once, to keep other requests of this thread from waiting.
const PIECE: usize = 32 * 1024;

const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Which answers are packed.
#[derive(Clone, Debug, Default)]
pub(super) struct Packer {
    running: Arc<AtomicU32>,
}

/// An answer that is being packed.
struct Packed {
    inner: Body,
    encoder: GzEncoder<Vec<u8>>,
    waiting: Bytes,
    /// Something is in the encoder that the caller has not seen.
    held: bool,
    trailers: Option<HeaderMap>,
    ended: bool,
    _turn: Turn,
}

/// One of those that are packed at once.
struct Turn(Arc<AtomicU32>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What of a request decides about packing: whether gzip is welcome.
pub(super) fn welcome(method: &Method, headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    *method != Method::HEAD && accepted.filter_map(|value| value.to_str().ok()).any(takes_gzip)
}

fn takes_gzip(value: &str) -> bool {
    let mut any = false;
    for part in value.split(',') {
        let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
        let quality = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        let wanted = quality.is_ok_and(|quality| 0.0 < quality);
        match coding.trim() {
            gzip if gzip.eq_ignore_ascii_case("gzip") => return wanted,
            "*" => any = wanted,
            _ => {}
        }
    }
    any
}

impl Packer {
    /// Packs the answer, if it is worth it. Says in any case that it depends on the caller.
    pub(super) fn pack(&self, response: &mut Response, welcome: bool) {
        if !shrinks(response) {
            return;
        }
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_name(header::ACCEPT_ENCODING));
        let turn = if welcome { self.turn() } else { None };
        let Some(turn) = turn else { return };
        headers.insert(header::CONTENT_ENCODING, GZIP);
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ACCEPT_RANGES);
        weaken(headers);
        let body = response.body_mut();
        *body = Body::new(Packed {
            inner: std::mem::take(body),
            encoder: GzEncoder::new(Vec::new(), Compression::fast()),
            waiting: Bytes::new(),
            held: false,
            trailers: None,
            ended: false,
            _turn: turn,
        });
    }

    fn turn(&self) -> Option<Turn> {
        let taken = self.running.fetch_add(1, Ordering::Relaxed);
        let turn = Turn(Arc::clone(&self.running));
        (taken < AT_ONCE).then_some(turn)
    }
}

/// Whether the answer is of a kind and a size that packing is good for.
fn shrinks(response: &Response) -> bool {
    let large = response.body().size_hint().upper().is_none_or(|length| LEAST <= length);
    if !large {
        return false;
    }
    let headers = response.headers();
    let whole = !matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
    );
    let untouched = !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && headers.get(header::CACHE_CONTROL).is_none_or(|control| {
            !control.as_bytes().windows(12).any(|part| part == b"no-transform")
        });
    whole && untouched && headers.get(header::CONTENT_TYPE).is_some_and(text_like)
}

fn text_like(kind: &HeaderValue) -> bool {
    let Ok(kind) = kind.to_str() else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.split_once('/') {
        Some(("text", part)) => part != "event-stream",
        Some(("application", part)) => {
            matches!(part, "json" | "xml" | "javascript" | "wasm" | "x-ndjson" | "openmetrics-text")
                || part.ends_with("+json")
                || part.ends_with("+xml")
        }
        Some(("image", part)) => part == "svg+xml",
        _ => false,
    }
}

/// Packed and unpacked the answer means the same but is not the same bytes (RFC 9110, section
/// 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let strong = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    let weak = strong.map(|tag| [b"W/", tag.as_bytes()].concat());
    if let Some(Ok(weak)) = weak.map(|weak| HeaderValue::from_bytes(&weak)) {
        headers.insert(header::ETAG, weak);
    }
}

impl Packed {
    fn out(&mut self) -> Option<Bytes> {
        let out = std::mem::take(self.encoder.get_mut());
        (!out.is_empty()).then(|| out.into())
    }
}

impl hyper::body::Body for Packed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if !self.waiting.is_empty() {
                let length = self.waiting.len().min(PIECE);
                let piece = self.waiting.split_to(length);
                self.encoder.write_all(&piece).map_err(axum::Error::new)?;
                self.held = true;
                match self.out() {
                    Some(out) => return Poll::Ready(Some(Ok(Frame::data(out)))),
                    None => continue,
                }
            }
            if self.ended {
                let trailers = self.trailers.take();
                return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let polled = Pin::new(&mut self.inner).poll_frame(context);
            if polled.is_pending() && self.held {
                // Somebody may wait for what was said so far.
                self.encoder.flush().map_err(axum::Error::new)?;
                self.held = false;
                if let Some(out) = self.out() {
                    return Poll::Ready(Some(Ok(Frame::data(out))));
                }
            }
            match ready!(polled) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.waiting = data;
                        continue;
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {}
            }
            self.ended = true;
            self.encoder.try_finish().map_err(axum::Error::new)?;
            if let Some(out) = self.out() {
                return Poll::Ready(Some(Ok(Frame::data(out))));
            }
        }
    }
}

#[cfg(test)]
#[path = "compression_tests.rs"]
mod tests;
