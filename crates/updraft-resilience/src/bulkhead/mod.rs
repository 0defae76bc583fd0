//! How many calls may run at once, who may wait for a place, and who goes first.
//!
//! A place is taken and given back by one atomic step each while nobody waits; the queue and
//! its lock are touched only when every place is taken. Nobody overtakes the queue: while
//! somebody waits, a caller that finds a free place by chance leaves it to the one who is next.
//! That costs a little throughput under load (a place is idle until the one who waited runs
//! again), and in return nobody waits forever behind luckier callers.

mod blocking;
mod config;
mod line;
pub mod pool;
mod ticket;
mod word;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

pub use config::{BulkheadConfig, QueueOrder};
use line::Line;
use ticket::State;
pub use ticket::{BulkheadSnapshot, Full, Place, Ticket};
use word::{Manners, Word};

use crate::clock::nanos;
use crate::{Instant, Invalid, Priority};

/// Lets a limited number of calls run at once; the others wait in a bounded queue, or are
/// refused. See the [module](self) for how.
///
/// It neither spawns nor sleeps: whoever waits polls its ticket, and cancels it at its
/// deadline.
///
/// ```
/// use std::task::{Poll, Waker};
/// use updraft_resilience::bulkhead::{Bulkhead, BulkheadConfig};
/// use updraft_resilience::{Instant, Priority};
///
/// let config = BulkheadConfig { max: 1, queue: 1, ..BulkheadConfig::default() };
/// let bulkhead = Bulkhead::new(config)?;
/// let first = bulkhead.try_acquire()?;
/// let mut ticket = bulkhead.enqueue(Priority::Normal, Instant::ZERO, None)?;
/// assert!(bulkhead.poll_ticket(&mut ticket, Waker::noop()).is_pending());
///
/// bulkhead.release(first);
/// let Poll::Ready(Ok(second)) = bulkhead.poll_ticket(&mut ticket, Waker::noop()) else {
///     unreachable!("the place has been handed over");
/// };
/// bulkhead.release(second);
/// assert_eq!(bulkhead.in_use(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Bulkhead {
    word: Word,
    line: Mutex<Line>,
    /// The length of the line, to be read without its lock.
    queued: AtomicU32,
    queue: AtomicU32,
    max_wait: AtomicU64,
    newest_first: AtomicBool,
    rejected: AtomicU64,
    evicted: AtomicU64,
    abandoned: AtomicU64,
}

impl Bulkhead {
    /// A bulkhead with every place free.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`BulkheadConfig::validate`] gives it.
    pub fn new(config: BulkheadConfig) -> Result<Self, Invalid> {
        config.validate()?;
        Ok(Self {
            word: Word::new(config.max),
            line: Mutex::default(),
            queued: AtomicU32::new(0),
            queue: AtomicU32::new(config.queue),
            max_wait: AtomicU64::new(nanos(config.max_wait)),
            newest_first: AtomicBool::new(config.order == QueueOrder::Lifo),
            rejected: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
        })
    }

    /// Takes a place without waiting.
    ///
    /// # Errors
    ///
    /// [`Full`] when every place is taken, or others wait for the next one.
    #[inline]
    pub fn try_acquire(&self) -> Result<Place, Full> {
        if self.word.take(Manners::Queues) { Ok(Place(())) } else { Err(self.refuse()) }
    }

    /// A free place that nobody waits for. None is no refusal yet, and is not counted.
    #[inline]
    pub(crate) fn take_free(&self) -> Option<Place> {
        self.word.take(Manners::Queues).then_some(Place(()))
    }

    /// Gives a place back, to the one who waits for it if there is one.
    #[inline]
    pub fn release(&self, place: Place) {
        let Place(()) = place;
        if self.word.give() {
            self.hand_over();
        }
    }

    /// Takes a place, or joins the queue for one. Nothing runs out by itself: the caller
    /// [cancels](Self::cancel) at the [deadline of the ticket](Ticket::deadline).
    ///
    /// A full queue refuses its last in line, if that one matters less, to take this one in.
    ///
    /// # Errors
    ///
    /// [`Full`] when every place is taken and the queue is full of callers that matter as
    /// much, or `deadline` has come.
    pub fn enqueue(
        &self,
        priority: Priority,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Result<Ticket, Full> {
        let placed = Ticket {
            state: State::Placed(Place(())),
            deadline: deadline.unwrap_or(Instant::from_nanos(u64::MAX)),
        };
        if self.word.take(Manners::Queues) {
            return Ok(placed);
        }
        let longest = now + Duration::from_nanos(self.max_wait.load(Ordering::Relaxed));
        let until = longest.min(placed.deadline);
        let room = self.queue.load(Ordering::Relaxed);
        if room == 0 || until <= now {
            return Err(self.refuse());
        }
        let (state, evicted) = {
            let mut line = self.line();
            self.join(&mut line, priority, room)?
        };
        if let Some(waker) = evicted {
            waker.wake();
        }
        match state {
            State::Waiting(_) => Ok(Ticket { state, deadline: until }),
            State::Placed(_) | State::Spent => Ok(placed),
        }
    }

    /// Joins the line; gives the waker of the one who had to leave for it.
    fn join(
        &self,
        line: &mut Line,
        priority: Priority,
        room: u32,
    ) -> Result<(State, Option<Waker>), Full> {
        let mut evicted = None;
        if line.len() == 0 {
            // From the mark on, whoever gives a place back comes for this lock. A place that
            // was given back before it is seen here.
            self.word.mark(true);
            if self.word.take(Manners::IsNext) {
                self.word.mark(false);
                return Ok((State::Placed(Place(())), None));
            }
        } else if self.queued.load(Ordering::Relaxed) >= room {
            let Some(last) = line.last_below(priority, self.order()) else {
                return Err(self.refuse());
            };
            evicted = line.remove(last).flatten();
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        let spot = line.push(priority);
        self.settle(line);
        Ok((State::Waiting(spot), evicted))
    }

    /// Looks whether the place has come; `waker` is woken when it has, or when the caller has
    /// been refused to make room for a more important one. Once ready, the ticket is spent,
    /// and gives [`Full`].
    pub fn poll_ticket(&self, ticket: &mut Ticket, waker: &Waker) -> Poll<Result<Place, Full>> {
        let outcome = match ticket.state {
            State::Placed(place) => Ok(place),
            State::Spent => Err(Full),
            State::Waiting(spot) => {
                // A waker's code never runs under the lock: dropping one may drop a task,
                // and with it another ticket.
                let mut waker = Some(waker.clone());
                let mut line = self.line();
                if let Some(slot) = line.waker(spot) {
                    std::mem::swap(slot, &mut waker);
                    drop(line);
                    return Poll::Pending;
                }
                if line.collect(spot) { Ok(Place(())) } else { Err(Full) }
            }
        };
        ticket.state = State::Spent;
        Poll::Ready(outcome)
    }

    /// Gives up waiting. A place that has been handed over in the meantime is passed on; a
    /// spent ticket changes nothing.
    pub fn cancel(&self, ticket: Ticket) {
        match ticket.state {
            State::Placed(place) => self.release(place),
            State::Spent => {}
            State::Waiting(spot) => {
                let mut line = self.line();
                let left = line.remove(spot);
                if left.is_some() {
                    self.abandoned.fetch_add(1, Ordering::Relaxed);
                    self.settle(&line);
                }
                let granted = left.is_none() && line.collect(spot);
                drop(line);
                if granted {
                    self.release(Place(()));
                }
            }
        }
    }

    /// Hands free places over to those who wait, one lock each, so that wakers are woken
    /// outside of it.
    #[cold]
    fn hand_over(&self) {
        loop {
            let mut line = self.line();
            let Some(next) = line.next(self.order()) else { return };
            if !self.word.take(Manners::IsNext) {
                return;
            }
            let waker = line.grant(next);
            self.settle(&line);
            drop(line);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Says outside of the lock how long the line is. Ends each change of the line.
    fn settle(&self, line: &Line) {
        self.queued.store(u32::try_from(line.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
        if line.len() == 0 {
            self.word.mark(false);
        }
    }

    #[cold]
    fn refuse(&self) -> Full {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Full
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self) -> QueueOrder {
        if self.newest_first.load(Ordering::Relaxed) { QueueOrder::Lifo } else { QueueOrder::Fifo }
    }

    /// Changes how many calls may run at once: 1 to 2³¹ − 1, beyond which the nearest is
    /// taken. More places go to those who wait; fewer let running calls finish.
    pub fn set_max(&self, max: u32) {
        if self.word.set_max(max) {
            self.hand_over();
        }
    }

    /// Changes every limit while calls run. Who waits keeps its place in the queue and its
    /// deadline, even beyond a shorter queue.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`BulkheadConfig::validate`] gives it; then nothing has changed.
    pub fn reconfigure(&self, config: BulkheadConfig) -> Result<(), Invalid> {
        config.validate()?;
        self.queue.store(config.queue, Ordering::Relaxed);
        self.max_wait.store(nanos(config.max_wait), Ordering::Relaxed);
        self.newest_first.store(config.order == QueueOrder::Lifo, Ordering::Relaxed);
        self.set_max(config.max);
        Ok(())
    }

    /// The limits that hold now.
    pub fn config(&self) -> BulkheadConfig {
        BulkheadConfig {
            max: self.word.max(),
            queue: self.queue.load(Ordering::Relaxed),
            max_wait: Duration::from_nanos(self.max_wait.load(Ordering::Relaxed)),
            order: self.order(),
        }
    }

    /// Places that are taken.
    pub fn in_use(&self) -> u32 {
        self.word.in_use()
    }

    /// Callers that wait.
    pub fn queued(&self) -> u32 {
        self.queued.load(Ordering::Relaxed)
    }

    /// What it is doing and has done.
    pub fn snapshot(&self) -> BulkheadSnapshot {
        BulkheadSnapshot {
            max: self.word.max(),
            in_use: self.in_use(),
            queued: self.queued(),
            rejected: self.rejected.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod model_tests;
#[cfg(test)]
#[path = "race_tests.rs"]
mod race_tests;
