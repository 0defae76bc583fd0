//! What both directions of a relay share: the conversation, the time of the last byte, and
//! whether the instrument keeps them waiting on purpose.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::{Connection, Direction};
use super::RelayLimits;
use super::conversation::Conversation;

pub(super) struct Shared<'a> {
    pub(super) connection: &'a Connection,
    pub(super) limits: RelayLimits,
    conversation: Mutex<Conversation>,
    /// Wakes requests that wait for a response.
    pub(super) answered: Notify,
    pub(super) opaque: AtomicBool,
    /// The setting under which this whole connection stalls; 0 is none.
    pub(super) stalled_by: AtomicU64,
    last: Mutex<Instant>,
    half: AtomicBool,
    half_closed: Notify,
    suspended: AtomicU32,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

impl<'a> Shared<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        conversation: Conversation,
        limits: RelayLimits,
    ) -> Self {
        Self {
            connection,
            limits,
            conversation: Mutex::new(conversation),
            answered: Notify::new(),
            opaque: AtomicBool::new(false),
            stalled_by: AtomicU64::new(0),
            last: Mutex::new(Instant::now()),
            half: AtomicBool::new(false),
            half_closed: Notify::new(),
            suspended: AtomicU32::new(0),
            to_server: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
        }
    }

    pub(super) fn conversation(&self) -> MutexGuard<'_, Conversation> {
        self.conversation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn to_server(&self) -> u64 {
        self.to_server.load(Ordering::Relaxed)
    }

    pub(super) fn to_client(&self) -> u64 {
        self.to_client.load(Ordering::Relaxed)
    }

    pub(super) fn moved(&self, direction: Direction, bytes: usize) {
        let cell = match direction {
            Direction::Request => &self.to_server,
            Direction::Response => &self.to_client,
        };
        cell.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.touch();
    }

    pub(super) fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// One end has sent its last byte.
    pub(super) fn half_close(&self) {
        self.half.store(true, Ordering::Relaxed);
        self.touch();
        self.half_closed.notify_one();
    }

    /// For as long as it lives, no limit of time ends the connection.
    pub(super) fn suspend(&self) -> Suspended<'_> {
        self.suspended.fetch_add(1, Ordering::Relaxed);
        Suspended(&self.suspended, &self.last)
    }

    /// Resolves when no byte has come for too long.
    pub(super) async fn idle(&self) {
        loop {
            let half = self.half.load(Ordering::Relaxed);
            let span = if half { self.limits.linger } else { self.limits.idle };
            let suspended = self.suspended.load(Ordering::Relaxed) > 0;
            let last = if suspended {
                Instant::now()
            } else {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner)
            };
            let Some(due) = last.checked_add(span) else { return std::future::pending().await };
            if due <= Instant::now() && !suspended {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = self.half_closed.notified() => {}
            }
        }
    }
}

/// The wait of a direction that the instrument keeps waiting. When it ends, idle time starts
/// anew.
pub(super) struct Suspended<'a>(&'a AtomicU32, &'a Mutex<Instant>);

impl Drop for Suspended<'_> {
    fn drop(&mut self) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
