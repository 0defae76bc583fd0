//! The switch of one edge: who sets it, who waits at it, what it has seen.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

use super::count::{Tally, raise};
use super::event::Listeners;
use super::verdict::Active;
use super::{
    Connection, ConnectionId, Counts, Direction, Event, Events, Existing, Manner, Message,
    Patience, Setting, What, When,
};

/// A setting other than [`Setting::Pass`] is at work.
const ACTIVE: u8 = 1;
/// Messages are counted because somebody said so.
const COUNTING: u8 = 2;
/// Somebody listens to events.
const LISTENING: u8 = 4;

/// The instrument of one edge, shared by all who carry its bytes.
///
/// A change of the setting lets go whatever the one before it held or stalled; those messages
/// are not judged again, unless the new setting cuts everything.
#[derive(Debug)]
pub struct Instrument {
    edge: Arc<str>,
    mode: AtomicU8,
    active: ArcSwap<Active>,
    held: Mutex<Held>,
    signal: watch::Sender<Signal>,
    listeners: Listeners,
    pub(super) tally: Tally,
}

/// A moment between two cuts of everything: what began in it falls with the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

/// What is held, each with a number. They are as many as there are connections and requests
/// under way, whose bounds are their listeners'.
#[derive(Debug, Default)]
struct Held {
    generation: u64,
    next: u64,
    tickets: BTreeSet<u64>,
}

/// What wakes those who wait.
#[derive(Clone, Copy, Debug, Default)]
struct Signal {
    generation: u64,
    /// How often everything was cut.
    severed: u64,
    manner: Manner,
    refusing: bool,
    held: usize,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    Go,
    Cut(Manner),
    TooLate,
}

impl Instrument {
    /// One that lets everything pass. The name of the edge stands in its events.
    #[must_use]
    pub fn new(edge: &str) -> Arc<Self> {
        Arc::new(Self {
            edge: edge.into(),
            mode: AtomicU8::new(0),
            active: ArcSwap::from_pointee(Active::new(Setting::Pass, 0)),
            held: Mutex::default(),
            signal: watch::Sender::new(Signal::default()),
            listeners: Listeners::default(),
            tally: Tally::default(),
        })
    }

    /// The edge.
    #[must_use]
    pub fn edge(&self) -> &str {
        &self.edge
    }

    /// Changes what is done, from the next message on.
    pub fn set(&self, setting: Setting) {
        let severs = match &setting {
            Setting::Cut { when: When::Now { .. }, manner, .. } => Some(*manner),
            Setting::Swap { existing: Existing::Cut, .. } => Some(Manner::Close),
            _ => None,
        };
        let refusing = matches!(&setting, Setting::Cut { when: When::Now { refuse: true }, .. });
        let works = !matches!(
            &setting,
            Setting::Pass | Setting::Cut { when: When::Now { refuse: false }, .. }
        );
        let mut held = self.held();
        held.generation += 1;
        held.tickets.clear();
        self.active.store(Arc::new(Active::new(setting, held.generation)));
        self.switch(ACTIVE, works);
        self.signal.send_modify(|signal| {
            signal.generation = held.generation;
            signal.refusing = refusing;
            signal.held = 0;
            if let Some(manner) = severs {
                signal.severed += 1;
                signal.manner = manner;
            }
        });
    }

    /// What is done now.
    #[must_use]
    pub fn setting(&self) -> Setting {
        self.active.load().setting.clone()
    }

    /// Lets all go that are held now, and says how many they were. The setting stays: what
    /// comes later is held as it says.
    pub fn release(&self) -> usize {
        let mut held = self.held();
        let released = held.tickets.len();
        held.tickets.clear();
        self.signal.send_modify(|signal| signal.held = 0);
        released
    }

    /// Lets the one go that has been held longest; false when none is.
    pub fn release_next(&self) -> bool {
        let mut held = self.held();
        let released = held.tickets.pop_first().is_some();
        self.signal.send_modify(|signal| signal.held = held.tickets.len());
        released
    }

    /// Resolves when at least so many messages are held.
    pub async fn until_held(&self, count: usize) {
        self.until(|signal| signal.held >= count).await;
    }

    /// Whether messages are counted even while nothing is done to them. Off at first.
    pub fn count(&self, on: bool) {
        self.switch(COUNTING, on);
    }

    /// What has been seen and done.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let held_now = self.held().tickets.len();
        self.tally.counts(u64::try_from(held_now).unwrap_or(u64::MAX))
    }

    /// What happens from now on, at most `bound` events behind ([`EVENTS_MAX`](super::EVENTS_MAX) at most).
    #[must_use]
    pub fn events(&self, bound: usize) -> Events {
        let events = self.listeners.subscribe(bound);
        self.switch(LISTENING, true);
        events
    }

    /// A connection of a caller begins.
    #[must_use]
    pub fn open(self: &Arc<Self>) -> Connection {
        Connection::new(Arc::clone(self))
    }

    /// Where new connections and requests go instead of to the endpoint that was chosen.
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        if self.is_off() {
            return None;
        }
        match &self.active.load().setting {
            Setting::Swap { to, .. } => Some(*to),
            _ => None,
        }
    }

    /// Now, for [`severed`](Self::severed). While new connections are refused it is a moment
    /// before the cut.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        let signal = self.signal.borrow();
        Epoch(signal.severed - u64::from(signal.refusing))
    }

    /// Resolves when everything is cut that began in `epoch` or before: the connection of the
    /// caller is to be ended without another byte.
    pub async fn severed(&self, epoch: Epoch) -> Manner {
        self.until(|signal| signal.severed > epoch.0).await.manner
    }

    /// Whether nothing is done and nobody watches: the one relaxed load.
    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == 0
    }

    pub(super) fn active(&self) -> Arc<Active> {
        self.active.load_full()
    }

    /// Whether nothing may pass in this direction, not even the rest of a message.
    pub(super) fn stalls_all(&self, direction: Direction) -> bool {
        !self.is_off() && self.active.load().stalls_all(direction)
    }

    /// Waits until the setting is no more the one of `generation`.
    pub(super) async fn until_changed(&self, generation: u64, since: Epoch) -> Waited {
        let signal =
            self.until(|signal| signal.generation != generation || signal.severed > since.0).await;
        if signal.severed > since.0 { Waited::Cut(signal.manner) } else { Waited::Go }
    }

    /// Waits until the message is released.
    pub(super) async fn hold(
        &self,
        subject: &Subject<'_>,
        generation: u64,
        patience: Patience,
        deadline: Option<Instant>,
    ) -> Waited {
        let Some(ticket) = Ticket::take(self, generation) else {
            return self.standing(subject.since);
        };
        raise(&self.tally.held);
        self.tell(subject.connection, What::Held, Some(subject.message));
        let (until, waited) = match patience {
            Patience::UntilReleased => (None, Waited::Go),
            Patience::CallersDeadline => (deadline, Waited::TooLate),
            Patience::For(span) => (Instant::now().checked_add(span), Waited::Go),
        };
        let waited = match until {
            None => ticket.released(subject.since).await,
            Some(until) => {
                let released = tokio::time::timeout_at(until, ticket.released(subject.since));
                released.await.unwrap_or(waited)
            }
        };
        drop(ticket);
        if waited == Waited::Go {
            self.tell(subject.connection, What::Released, Some(subject.message));
        }
        waited
    }

    /// Whether a message of that time may go on.
    pub(super) fn standing(&self, since: Epoch) -> Waited {
        let signal = self.signal.borrow();
        if signal.severed > since.0 { Waited::Cut(signal.manner) } else { Waited::Go }
    }

    pub(super) fn passed(
        &self,
        connection: ConnectionId,
        message: &Message,
        bytes: u64,
        since: Instant,
    ) {
        self.tally.passed(message, bytes);
        self.tell(connection, What::Passed { bytes, since }, Some(message));
    }

    pub(super) fn tell(&self, connection: ConnectionId, what: What, message: Option<&Message>) {
        if self.mode.load(Ordering::Relaxed) & LISTENING == 0 {
            return;
        }
        let event = Event {
            at: Instant::now(),
            wall: SystemTime::now(),
            edge: Arc::clone(&self.edge),
            connection,
            what,
            message: message.copied(),
        };
        if !self.listeners.tell(&event) {
            self.switch(LISTENING, false);
        }
    }

    async fn until(&self, condition: impl Fn(&Signal) -> bool) -> Signal {
        let mut receiver = self.signal.subscribe();
        let signal = receiver.wait_for(|signal| condition(signal)).await.ok().as_deref().copied();
        match signal {
            Some(signal) => signal,
            // Only when the sender is gone, which lives as long as `self`.
            None => std::future::pending().await,
        }
    }

    fn switch(&self, bit: u8, on: bool) {
        if on {
            self.mode.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.mode.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose wait it is.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) message: &'a Message,
    pub(super) connection: ConnectionId,
    pub(super) since: Epoch,
}

/// The place of a held message. Dropped, it is given back: whoever waited has gone.
struct Ticket<'a> {
    instrument: &'a Instrument,
    number: u64,
}

impl<'a> Ticket<'a> {
    /// `None` when the setting that says so is not the present one any more.
    fn take(instrument: &'a Instrument, generation: u64) -> Option<Self> {
        let mut held = instrument.held();
        if held.generation != generation {
            return None;
        }
        let number = held.next;
        held.next += 1;
        held.tickets.insert(number);
        instrument.signal.send_modify(|signal| signal.held = held.tickets.len());
        Some(Self { instrument, number })
    }

    async fn released(&self, since: Epoch) -> Waited {
        // Not by a condition on the signal: it would ask for the lock on what is held inside of
        // the signal's own, and whoever releases takes them the other way round.
        let mut receiver = self.instrument.signal.subscribe();
        while self.instrument.held().tickets.contains(&self.number) {
            if receiver.changed().await.is_err() {
                break;
            }
        }
        self.instrument.standing(since)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut held = self.instrument.held();
        if held.tickets.remove(&self.number) {
            self.instrument.signal.send_modify(|signal| signal.held = held.tickets.len());
        }
    }
}
