//! Taps: somebody listens to the requests of an edge for a while. When nobody does, a request
//! pays for it with one relaxed load.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use http::HeaderMap;
use tokio::sync::mpsc;
use updraft_system::Name;
use updraft_system::mesh::{Share, TapEvent, TapHeader, Tapped};

use super::access_log::AccessRecord;

/// The headers whose values are shown.
const HARMLESS: &[&str] = &["accept", "content-length", "content-type", "user-agent"];
/// Further headers of one message are not shown.
const HEADERS_MAX: usize = 100;
/// Longer values are cut.
const VALUE_MAX: usize = 256;

/// Those who listen to one edge.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    listeners: AtomicUsize,
    subscribers: ArcSwap<Vec<Arc<Subscriber>>>,
    /// Held while the list is changed.
    changing: Mutex<()>,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Subscriber {
    share: Share,
    sender: mpsc::Sender<Tapped>,
    dropped: AtomicU64,
}

/// As many as may listen to one edge do so already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} taps listen to this edge already: end one of them", Tap::SUBSCRIBERS_MAX)]
pub(crate) struct TapTooMany;

impl Tap {
    /// The most that may listen to one edge at once.
    pub(crate) const SUBSCRIBERS_MAX: usize = 8;
    /// The most events that wait for a slow reader; further ones are lost and counted.
    pub(crate) const EVENTS_MAX: usize = 256;

    /// Whether anybody listens: only then are headers worth keeping.
    #[inline]
    #[must_use]
    pub(crate) fn is_on(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    /// Tells those who listen, each of them its share; `event` is called when there is one of
    /// them that wants it.
    #[inline]
    pub(crate) fn offer(&self, rng: &mut fastrand::Rng, event: impl FnOnce() -> TapEvent) {
        if self.is_on() {
            self.tell(rng, event);
        }
    }

    #[cold]
    fn tell(&self, rng: &mut fastrand::Rng, event: impl FnOnce() -> TapEvent) {
        let all = self.subscribers.load();
        let mut event = Some(event);
        let mut made: Option<TapEvent> = None;
        for subscriber in all.iter() {
            if rng.u32(..Share::WHOLE) >= subscriber.share.parts() {
                continue;
            }
            if let Some(make) = event.take() {
                made = Some(make());
            }
            let Some(event) = &made else { continue };
            let tapped = Tapped {
                share: subscriber.share,
                dropped: subscriber.dropped.load(Ordering::Relaxed),
                event: event.clone(),
            };
            if subscriber.sender.try_send(tapped).is_err() {
                subscriber.dropped.fetch_add(1, Ordering::Relaxed);
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Listens from now on, until the subscription is dropped, to this share of the requests.
    ///
    /// # Errors
    ///
    /// [`TapTooMany`] when [`SUBSCRIBERS_MAX`](Self::SUBSCRIBERS_MAX) listen already.
    pub(crate) fn subscribe(self: &Arc<Self>, share: Share) -> Result<TapSubscription, TapTooMany> {
        let guard = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::clone(&self.subscribers.load());
        if all.len() >= Self::SUBSCRIBERS_MAX {
            return Err(TapTooMany);
        }
        let (sender, events) = mpsc::channel(Self::EVENTS_MAX);
        let own = Arc::new(Subscriber { share, sender, dropped: AtomicU64::new(0) });
        all.push(Arc::clone(&own));
        self.store(all);
        drop(guard);
        Ok(TapSubscription { tap: Arc::clone(self), own, events })
    }

    fn leave(&self, own: &Arc<Subscriber>) {
        let guard = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::clone(&self.subscribers.load());
        all.retain(|known| !Arc::ptr_eq(known, own));
        self.store(all);
        drop(guard);
    }

    fn store(&self, all: Vec<Arc<Subscriber>>) {
        let count = all.len();
        self.subscribers.store(Arc::new(all));
        self.listeners.store(count, Ordering::Relaxed);
    }

    /// Events that were lost, of all who ever listened.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// One who listens.
#[derive(Debug)]
pub(crate) struct TapSubscription {
    tap: Arc<Tap>,
    own: Arc<Subscriber>,
    events: mpsc::Receiver<Tapped>,
}

impl TapSubscription {
    /// The next event.
    #[cfg(test)]
    pub(crate) async fn next(&mut self) -> Option<Tapped> {
        self.events.recv().await
    }

    /// The same for whoever listens to several.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Tapped>> {
        self.events.poll_recv(cx)
    }

    /// Events that this one has lost so far.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn dropped(&self) -> u64 {
        self.own.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for TapSubscription {
    fn drop(&mut self) {
        self.tap.leave(&self.own);
    }
}

/// The names of headers, and the values of harmless ones.
#[must_use]
pub(crate) fn shown(headers: &HeaderMap) -> Vec<TapHeader> {
    let show = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = if HARMLESS.contains(&name.as_str()) {
            let text = String::from_utf8_lossy(value.as_bytes());
            text[..text.floor_char_boundary(VALUE_MAX)].to_owned()
        } else {
            TapHeader::REDACTED.to_owned()
        };
        TapHeader { name: name.as_str().to_owned(), value }
    };
    headers.iter().take(HEADERS_MAX).map(show).collect()
}

impl AccessRecord<'_> {
    /// The event that taps of the edge to `to` get, with [`shown`] headers of request and
    /// response.
    #[must_use]
    pub(crate) fn tap_event(
        &self,
        to: &Name,
        request_headers: Vec<TapHeader>,
        response_headers: Vec<TapHeader>,
    ) -> TapEvent {
        TapEvent {
            time: self.time(),
            trace_id: self.trace.trace_id.to_string(),
            span_id: self.trace.span_id.to_string(),
            request_id: self.request_id.to_owned(),
            from: self.from.clone(),
            to: to.clone(),
            operation: self.operation.to_owned(),
            method: self.short_method().to_owned(),
            path: self.short_path().to_owned(),
            status: self.status,
            duration_us: u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            attempts: self.attempts,
            endpoint: self.endpoint,
            refused: self.refused.map(|reason| reason.as_str().to_owned()),
            protocol: self.protocol,
            request_headers,
            response_headers,
        }
    }
}

#[cfg(test)]
#[path = "tap_tests.rs"]
mod tests;
