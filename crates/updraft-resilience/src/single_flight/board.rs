//! Which runs are under way, and who takes part in them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use super::flight::{Flight, Panic, Shared, Step};

/// The runs under way, by key.
pub(super) struct Board<K, V> {
    flights: Mutex<HashMap<Arc<K>, Entry<V>>>,
    max_keys: usize,
}

struct Entry<V> {
    flight: Arc<Flight<V>>,
    callers: usize,
}

impl<K, V> Board<K, V> {
    fn flights(&self) -> MutexGuard<'_, HashMap<Arc<K>, Entry<V>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V> Board<K, V> {
    pub(super) fn new(max_keys: usize) -> Self {
        Self { flights: Mutex::new(HashMap::new()), max_keys }
    }

    pub(super) fn len(&self) -> usize {
        self.flights().len()
    }

    /// A seat in the run under way, or the leader's in a new one.
    pub(super) fn join(this: &Arc<Self>, key: &Arc<K>) -> Seat<K, V> {
        let mut flights = this.flights();
        let present = flights.len();
        if let Some(entry) = flights.get_mut(key) {
            entry.callers += 1;
            let flight = Arc::clone(&entry.flight);
            drop(flights);
            return Seat::new(this, key, flight, Role::Follower);
        }
        let flight = Arc::new(Flight::default());
        let role = if present < this.max_keys {
            let entry = Entry { flight: Arc::clone(&flight), callers: 1 };
            flights.insert(Arc::clone(key), entry);
            Role::Leader
        } else {
            Role::Alone
        };
        drop(flights);
        Seat::new(this, key, flight, role)
    }

    /// Takes the run off the board, so that nobody joins it any more; gives the number of its
    /// callers, if it was there.
    fn close(&self, key: &Arc<K>, flight: &Arc<Flight<V>>) -> Option<usize> {
        let mut flights = self.flights();
        let entry = flights.get(key).filter(|entry| Arc::ptr_eq(&entry.flight, flight))?;
        let callers = entry.callers;
        let removed = flights.remove_entry(key);
        drop(flights);
        drop(removed);
        Some(callers)
    }

    /// One caller fewer; tells whether it was the last.
    fn leave(&self, key: &Arc<K>, flight: &Arc<Flight<V>>) -> bool {
        let mut flights = self.flights();
        let entry = flights.get_mut(key).filter(|entry| Arc::ptr_eq(&entry.flight, flight));
        let Some(entry) = entry else { return false };
        entry.callers -= 1;
        if entry.callers > 0 {
            return false;
        }
        let removed = flights.remove_entry(key);
        drop(flights);
        drop(removed);
        true
    }
}

/// What a caller is to its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It started the run.
    Leader,
    /// It joined it.
    Follower,
    /// It started one that nobody can join, as there are too many keys.
    Alone,
}

/// A caller's part in a run; dropped, it leaves it.
pub(super) struct Seat<K: Eq + Hash, V> {
    board: Arc<Board<K, V>>,
    key: Arc<K>,
    flight: Arc<Flight<V>>,
    number: u64,
    role: Role,
}

impl<K: Eq + Hash, V> Seat<K, V> {
    fn new(board: &Arc<Board<K, V>>, key: &Arc<K>, flight: Arc<Flight<V>>, role: Role) -> Self {
        let number = flight.number();
        Self { board: Arc::clone(board), key: Arc::clone(key), flight, number, role }
    }

    /// Whether the run is of this caller's making.
    pub(super) fn leads(&self) -> bool {
        self.role != Role::Follower
    }

    pub(super) fn start(&self, future: Shared<V>) {
        self.flight.start(future);
    }

    /// The run cannot start.
    pub(super) fn fail(&self, panic: Panic) {
        self.board.close(&self.key, &self.flight);
        self.flight.break_down(panic);
    }
}

impl<K, V> Seat<K, V>
where
    K: Eq + Hash,
    V: Clone + Send + Sync + 'static,
{
    /// Moves the run on, if it is to be moved.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Step<V> {
        let close = || self.board.close(&self.key, &self.flight).unwrap_or(1);
        self.flight.poll(self.number, self.leads(), cx, close)
    }
}

impl<K: Eq + Hash, V> Drop for Seat<K, V> {
    fn drop(&mut self) {
        let last = self.role == Role::Alone || self.board.leave(&self.key, &self.flight);
        self.flight.leave(self.number, last);
    }
}
