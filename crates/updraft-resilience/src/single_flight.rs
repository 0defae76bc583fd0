//! One run for all who ask for the same thing at the same time: a burst of equal questions,
//! such as after a cache entry has run out, becomes one call.
//!
//! The run belongs to all of its callers: its future is kept here and is moved on by whichever
//! caller is polled. So a leader that is dropped, or kept and never polled again, holds nobody
//! up, and its work is not done twice, as it would be if the run were a part of the leader's
//! own future. The price is that the run must be `Send + 'static`, one allocation for each
//! run, and that it is polled in the context of any of the callers (task locals, tracing
//! spans): what it needs, it must take with it. Each change of the run wakes every caller, as
//! no one caller can be trusted to be polled.
//!
//! The name is that of Go's `golang.org/x/sync/singleflight`; the shared future is that of
//! `futures::future::Shared`.

mod board;
mod flight;

use std::fmt;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use board::{Board, Seat};
use flight::Step;

/// How many keys may have a run at once where no number is given.
const MAX_KEYS: usize = 10_000;

/// Has callers with the same key share one run. A clone is the same.
///
/// Nothing is kept: once a run has ended, the next caller starts a new one.
///
/// ```
/// use updraft_resilience::single_flight::SingleFlight;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let flights = SingleFlight::new();
/// let lookup = || flights.run("user 7", || async { "the row".to_owned() });
/// let (first, second) = tokio::join!(lookup(), lookup());
/// assert_eq!(first, second);
/// assert!(flights.is_empty());
/// # });
/// ```
pub struct SingleFlight<K, V> {
    board: Arc<Board<K, V>>,
}

impl<K, V> Clone for SingleFlight<K, V> {
    fn clone(&self) -> Self {
        Self { board: Arc::clone(&self.board) }
    }
}

impl<K: Eq + Hash, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight").finish_non_exhaustive()
    }
}

impl<K: Eq + Hash, V> SingleFlight<K, V> {
    /// Shares the runs of up to 10 000 keys at once.
    #[must_use]
    pub fn new() -> Self {
        Self::with_max_keys(MAX_KEYS)
    }

    /// Shares the runs of up to so many keys at once; beyond them, and with 0 always, callers
    /// run on their own.
    #[must_use]
    pub fn with_max_keys(keys: usize) -> Self {
        Self { board: Arc::new(Board::new(keys)) }
    }

    /// How many keys have a shared run now.
    pub fn len(&self) -> usize {
        self.board.len()
    }

    /// Whether no key has a shared run now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value for `key`: that of the run that is under way, or else of the run that `make`
    /// starts. The run ends early when all of its callers have been dropped.
    ///
    /// A run must not wait for a run of its own key: it would wait for itself.
    ///
    /// # Panics
    ///
    /// With the panic of `make` or of its future, and only for the caller who gave it: the
    /// others start anew with their own.
    pub fn run<M, F>(&self, key: K, make: M) -> Run<K, V, M>
    where
        M: FnOnce() -> F,
        F: Future<Output = V> + Send + 'static,
        V: Clone + Send + Sync + 'static,
    {
        Run { board: Arc::clone(&self.board), key: Arc::new(key), make: Some(make), seat: None }
    }
}

/// The future of [`SingleFlight::run`].
#[must_use = "it does nothing until it is awaited"]
pub struct Run<K: Eq + Hash, V, M> {
    board: Arc<Board<K, V>>,
    key: Arc<K>,
    make: Option<M>,
    seat: Option<Seat<K, V>>,
}

impl<K: Eq + Hash, V, M> fmt::Debug for Run<K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("joined", &self.seat.is_some()).finish_non_exhaustive()
    }
}

/// Nothing of it is pinned in place: the shared future is in a box.
impl<K: Eq + Hash, V, M> Unpin for Run<K, V, M> {}

impl<K, V, M, F> Future for Run<K, V, M>
where
    K: Eq + Hash,
    V: Clone + Send + Sync + 'static,
    M: FnOnce() -> F,
    F: Future<Output = V> + Send + 'static,
{
    type Output = V;

    /// Polled again after it was ready, it stays pending.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<V> {
        let this = &mut *self;
        loop {
            let seat = match this.seat.take() {
                Some(seat) => seat,
                None => match this.make.take() {
                    Some(make) => sit_down(&this.board, &this.key, make, &mut this.make),
                    None => return Poll::Pending,
                },
            };
            match seat.poll(cx) {
                Step::Value(value) => {
                    this.make = None;
                    return Poll::Ready(value);
                }
                Step::Pending => {
                    this.seat = Some(seat);
                    return Poll::Pending;
                }
                Step::Broken(panic) if seat.leads() => {
                    drop(seat);
                    let panic = panic.unwrap_or_else(|| Box::new("the shared run panicked"));
                    resume_unwind(panic);
                }
                Step::Broken(_) => {}
            }
        }
    }
}

/// Joins the run that is under way, and then keeps `make` in `spare`, or starts one.
fn sit_down<K, V, M, F>(
    board: &Arc<Board<K, V>>,
    key: &Arc<K>,
    make: M,
    spare: &mut Option<M>,
) -> Seat<K, V>
where
    K: Eq + Hash,
    V: Clone + Send + Sync + 'static,
    M: FnOnce() -> F,
    F: Future<Output = V> + Send + 'static,
{
    let seat = Board::join(board, key);
    if seat.leads() {
        match catch_unwind(AssertUnwindSafe(make)) {
            Ok(future) => seat.start(Box::pin(future)),
            Err(panic) => seat.fail(panic),
        }
    } else {
        *spare = Some(make);
    }
    seat
}

#[cfg(test)]
#[path = "single_flight/tests.rs"]
mod tests;
