//! What an instrument has seen and done, in numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Direction, Message};

/// What an instrument has seen and done since it was made. Connections are always counted,
/// messages while it counts ([`Instrument::count`](super::Instrument::count)), somebody
/// listens to its events or a setting is at work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that are open.
    pub connections_open: u64,
    /// Connections that ever were.
    pub connections_total: u64,
    /// Connections whose messages cannot be seen, because their ends agreed on encryption or
    /// on a protocol of replication.
    pub opaque: u64,
    /// Connections that ended because their bytes were none of the protocol.
    pub malformed: u64,
    /// Messages that passed towards the service or resource.
    pub messages_to_server: u64,
    /// Their bytes; of HTTP those of the bodies.
    pub bytes_to_server: u64,
    /// Messages that passed towards the caller.
    pub messages_to_client: u64,
    /// Their bytes.
    pub bytes_to_client: u64,
    /// Messages that wait for their release now.
    pub held_now: u64,
    /// Messages that ever waited for it.
    pub held: u64,
    /// Messages that came later on purpose.
    pub delayed: u64,
    /// How often a stall began to bite.
    pub stalled: u64,
    /// Connections and exchanges that were cut.
    pub cut: u64,
    /// Connections and requests that went to another address.
    pub diverted: u64,
    /// Messages that passed, by their kind.
    pub kinds: BTreeMap<&'static str, KindCount>,
}

/// Messages of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCount {
    /// How many.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) open: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) opaque: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) stalled: AtomicU64,
    pub(super) cut: AtomicU64,
    pub(super) diverted: AtomicU64,
    passed: Mutex<Passed>,
}

/// The kinds are named in this crate, so the map is bounded.
#[derive(Debug, Default)]
struct Passed {
    to_server: KindCount,
    to_client: KindCount,
    kinds: BTreeMap<&'static str, KindCount>,
}

impl KindCount {
    const fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }
}

impl Tally {
    pub(super) fn passed(&self, message: &Message, bytes: u64) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        match message.direction {
            Direction::Request => passed.to_server.add(bytes),
            Direction::Response => passed.to_client.add(bytes),
        }
        passed.kinds.entry(message.kind).or_default().add(bytes);
    }

    /// Bytes of a message that has been counted already.
    pub(super) fn more(&self, direction: Direction, kind: &'static str, bytes: u64) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        match direction {
            Direction::Request => passed.to_server.bytes += bytes,
            Direction::Response => passed.to_client.bytes += bytes,
        }
        passed.kinds.entry(kind).or_default().bytes += bytes;
    }

    pub(super) fn counts(&self, held_now: u64) -> Counts {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Counts {
            connections_open: read(&self.open),
            connections_total: read(&self.connections),
            opaque: read(&self.opaque),
            malformed: read(&self.malformed),
            messages_to_server: passed.to_server.messages,
            bytes_to_server: passed.to_server.bytes,
            messages_to_client: passed.to_client.messages,
            bytes_to_client: passed.to_client.bytes,
            held_now,
            held: read(&self.held),
            delayed: read(&self.delayed),
            stalled: read(&self.stalled),
            cut: read(&self.cut),
            diverted: read(&self.diverted),
            kinds: passed.kinds.clone(),
        }
    }
}

/// One more.
pub(super) fn raise(cell: &AtomicU64) {
    cell.fetch_add(1, Ordering::Relaxed);
}
