//! What happens on an edge, as it happens: the raw material of an audit's timelines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use super::{ConnectionId, Direction, Message};

/// The most events that may wait for one listener.
pub const EVENTS_MAX: usize = 65_536;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A connection began.
    Opened,
    /// It ended.
    Closed,
    /// Its messages cannot be told apart any more.
    Opaque,
    /// A message passed, whole, with so many bytes; of HTTP its head, with the length of the
    /// body as far as it is declared.
    Passed {
        /// Its size.
        bytes: u64,
        /// When its first byte was there.
        since: Instant,
    },
    /// A message is held in front of its receiver.
    Held,
    /// It is held no more.
    Released,
    /// A stall began to bite, before this message or in its midst.
    Stalled,
    /// A message will come later.
    Delayed,
    /// The connection or exchange was cut, before, in or after this message.
    Cut,
    /// The connection or request goes to another address.
    Diverted,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, on the clock that only goes forward.
    pub at: Instant,
    /// When, on the clock on the wall.
    pub wall: SystemTime,
    /// The edge.
    pub edge: Arc<str>,
    /// The connection of the caller.
    pub connection: ConnectionId,
    /// What.
    pub what: What,
    /// The message it happened to, if it was one.
    pub message: Option<Message>,
}

impl Event {
    /// Which way the message goes, if it is about one.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        self.message.map(|message| message.direction)
    }
}

/// A listener's end.
#[derive(Debug)]
pub struct Events {
    receiver: Receiver<Event>,
    missed: Arc<AtomicU64>,
}

impl Events {
    /// The next event; `None` once the instrument is gone.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// The next event, if it is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }

    /// How many events this listener was too slow for. They were thrown away: the wire does
    /// not wait for whoever watches it.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Listener {
    sender: Sender<Event>,
    missed: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
pub(super) struct Listeners(Mutex<Vec<Listener>>);

impl Listeners {
    pub(super) fn subscribe(&self, bound: usize) -> Events {
        let (sender, receiver) = channel(bound.clamp(1, EVENTS_MAX));
        let missed = Arc::new(AtomicU64::new(0));
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push(Listener { sender, missed: Arc::clone(&missed) });
        Events { receiver, missed }
    }

    /// Tells everybody, and says whether anybody is left.
    pub(super) fn tell(&self, event: &Event) -> bool {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| match listener.sender.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                listener.missed.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        });
        !listeners.is_empty()
    }
}
