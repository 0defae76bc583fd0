//! The connections to one target, and the requests that wait for one.
//!
//! One short lock per target, so that a slow endpoint never holds up requests to others. What
//! is dropped on the way is dropped after the lock was released, as it may come back for it.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::Guard;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::checkout::{Checkout, Unused};
use super::connect::{Connected, connect};
use super::counts::Cells;
use super::error::{ConnectError, UnsentCause};
use super::http1::Http1;
use super::http2::{Http2, Opened};
use super::tasks::Tasks;
use super::{Bound, PoolConfig, Protocol, RequestBody, Shared, Target};

/// The connections to one target.
pub(super) struct Host<B: RequestBody> {
    pub(super) target: Target,
    shared: Arc<Shared<B>>,
    state: Mutex<State<B>>,
}

struct State<B: RequestBody> {
    /// HTTP/1 connections without a request; the last one was used last.
    idle: VecDeque<Box<Http1<B>>>,
    /// HTTP/2 connections, the oldest first: it is filled first, so that those that are too
    /// many become idle and end.
    multiplexed: Vec<Arc<Http2<B>>>,
    waiting: VecDeque<Waiter<B>>,
    connecting: usize,
    open: usize,
    retired: bool,
}

type Waiter<B> = oneshot::Sender<Result<Checkout<B>, UnsentCause>>;

/// What a request gets that asks for a connection.
pub(super) enum Taken<B: RequestBody> {
    Ready(Checkout<B>),
    Wait(oneshot::Receiver<Result<Checkout<B>, UnsentCause>>),
    Full,
    Retired,
}

/// What left the state, to be dropped without the lock.
pub(super) struct Leftover<B: RequestBody> {
    idle: VecDeque<Box<Http1<B>>>,
    multiplexed: Vec<Arc<Http2<B>>>,
    waiting: VecDeque<Waiter<B>>,
    undelivered: Vec<Checkout<B>>,
}

impl<B: RequestBody> Default for Leftover<B> {
    fn default() -> Self {
        Self {
            idle: VecDeque::new(),
            multiplexed: Vec::new(),
            waiting: VecDeque::new(),
            undelivered: Vec::new(),
        }
    }
}

impl<B: RequestBody> Host<B> {
    pub(super) fn new(target: Target, shared: Arc<Shared<B>>) -> Self {
        let state = State {
            idle: VecDeque::new(),
            multiplexed: Vec::new(),
            waiting: VecDeque::new(),
            connecting: 0,
            open: 0,
            retired: false,
        };
        Self { target, shared, state: Mutex::new(state) }
    }

    /// What holds now.
    pub(super) fn config(&self) -> Guard<Arc<PoolConfig>> {
        self.shared.config.load()
    }

    pub(super) fn tasks(&self) -> &Arc<Tasks> {
        &self.shared.tasks
    }

    pub(super) fn cells(&self) -> &Cells {
        self.shared.counters.of(self.target.protocol())
    }

    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for one request, at once if one is free.
    pub(super) fn take(self: &Arc<Self>) -> Taken<B> {
        let mut left = Leftover::default();
        let mut state = self.state();
        let taken = if state.retired {
            Taken::Retired
        } else if let Some(checkout) = self.available(&mut state, &mut left) {
            Taken::Ready(checkout)
        } else if state.is_full(self.config().waiters) {
            Taken::Full
        } else {
            let (waiter, wait) = oneshot::channel();
            state.waiting.push_back(waiter);
            self.serve(&mut state, &mut left);
            Taken::Wait(wait)
        };
        drop(state);
        drop(left);
        taken
    }

    /// Keeps an HTTP/1 connection whose exchange has ended, for whoever waits or will come.
    pub(super) fn put_back(self: &Arc<Self>, connection: Box<Http1<B>>, now: Instant) {
        let mut left = Leftover::default();
        let mut state = self.state();
        if state.retired || !connection.is_kept(now) {
            left.idle.push_back(connection);
        } else {
            state.idle.push_back(connection);
            self.shared.idle.fetch_add(1, Ordering::Relaxed);
            self.serve(&mut state, &mut left);
            self.bound(&mut state, &mut left);
        }
        drop(state);
        drop(left);
    }

    /// Closes what has been idle for longest, of what is too many.
    fn bound(&self, state: &mut State<B>, left: &mut Leftover<B>) {
        let config = self.config();
        while state.idle.len() > config.idle_per_target
            || (!state.idle.is_empty()
                && self.shared.idle.load(Ordering::Relaxed) > config.idle_total)
        {
            left.idle.extend(self.pop(state, VecDeque::pop_front));
        }
    }

    fn pop(
        &self,
        state: &mut State<B>,
        end: impl FnOnce(&mut VecDeque<Box<Http1<B>>>) -> Option<Box<Http1<B>>>,
    ) -> Option<Box<Http1<B>>> {
        let connection = end(&mut state.idle)?;
        self.shared.idle.fetch_sub(1, Ordering::Relaxed);
        Some(connection)
    }

    /// A stream has ended; called by the connection itself.
    pub(super) fn stream_ended(self: &Arc<Self>, connection: &Http2<B>) {
        let mut left = Leftover::default();
        let mut state = self.state();
        connection.finish_stream(Instant::now());
        if !state.waiting.is_empty() {
            self.serve(&mut state, &mut left);
        }
        drop(state);
        drop(left);
    }

    /// Gives a connection no more streams.
    pub(super) fn forget(self: &Arc<Self>, connection: &Arc<Http2<B>>) {
        let mut left = Leftover::default();
        let mut state = self.state();
        let kept = |other: &Arc<Http2<B>>| !Arc::ptr_eq(other, connection);
        left.multiplexed.extend(state.multiplexed.extract_if(.., |other| !kept(other)));
        self.serve(&mut state, &mut left);
        drop(state);
        drop(left);
    }

    /// Something that a request can be sent on now.
    fn available(
        self: &Arc<Self>,
        state: &mut State<B>,
        left: &mut Leftover<B>,
    ) -> Option<Checkout<B>> {
        let now = Instant::now();
        match self.target.protocol() {
            Protocol::Http1 => loop {
                let mut connection = self.pop(state, VecDeque::pop_back)?;
                if connection.is_usable(now) {
                    connection.take(now);
                    return Some(Checkout::Http1(Unused::new(connection)));
                }
                left.idle.push_back(connection);
            },
            Protocol::Http2 => {
                let room = |connection: &&Arc<Http2<B>>| connection.has_room(now);
                let lasting = |connection: &&Arc<Http2<B>>| !connection.is_ending(now);
                let all = state.multiplexed.iter();
                let found = match all.clone().filter(lasting).find(room) {
                    Some(found) => Opened::new(found, now),
                    None => {
                        let ending = Opened::new(all.clone().find(room)?, now);
                        // It serves until its successor is there.
                        if state.connecting == 0 {
                            self.start_connect(state);
                        }
                        ending
                    }
                };
                Some(Checkout::Http2(found))
            }
        }
    }

    /// Serves who waits with what there is, and opens connections for the others.
    fn serve(self: &Arc<Self>, state: &mut State<B>, left: &mut Leftover<B>) {
        while !state.waiting.is_empty() {
            let Some(checkout) = self.available(state, left) else {
                break;
            };
            left.undelivered.extend(state.deliver(checkout));
        }
        let most = self.config().connections;
        while state.connecting.saturating_mul(self.capacity()) < state.waiting.len()
            && state.open + state.connecting < most
            && self.start_connect(state)
        {}
    }

    /// How many requests a new connection serves at once.
    fn capacity(&self) -> usize {
        match self.target.protocol() {
            Protocol::Http1 => 1,
            Protocol::Http2 => self.config().streams.max(1),
        }
    }

    fn start_connect(self: &Arc<Self>, state: &mut State<B>) -> bool {
        let host = Arc::clone(self);
        let connecting = async move {
            let mut attempt = Attempt { host, failure: Some(ConnectError::Interrupted) };
            match connect(&attempt.host).await {
                Ok(connected) => {
                    attempt.failure = None;
                    attempt.host.connected(connected);
                }
                Err(failure) => attempt.failure = Some(failure),
            }
        };
        let started = self.tasks().spawn(connecting).is_some();
        if started {
            state.connecting += 1;
        }
        started
    }

    fn connected(self: &Arc<Self>, connected: Connected<B>) {
        let cells = self.cells();
        cells.connects.fetch_add(1, Ordering::Relaxed);
        let connection = match connected {
            Connected::Http1(connection) => {
                self.state().connecting -= 1;
                return self.put_back(connection, Instant::now());
            }
            Connected::Http2(connection) => connection,
        };
        let mut left = Leftover::default();
        let mut state = self.state();
        state.connecting -= 1;
        if state.retired {
            left.multiplexed.push(connection);
        } else {
            state.multiplexed.push(connection);
            self.serve(&mut state, &mut left);
        }
        drop(state);
        drop(left);
    }

    /// Fails those whom no other connection under way will serve.
    fn connect_failed(self: &Arc<Self>, failure: ConnectError) {
        self.cells().connect_failures.fetch_add(1, Ordering::Relaxed);
        if matches!(failure, ConnectError::Timeout) {
            (self.shared.report)(Bound::Connect);
        }
        let failure = Arc::new(failure);
        let mut left = Leftover::default();
        let mut failed = Vec::new();
        let mut state = self.state();
        state.connecting -= 1;
        state.waiting.retain(|waiter| !waiter.is_closed());
        let promised = state.connecting.saturating_mul(self.capacity());
        let over = state.waiting.len().saturating_sub(promised).min(self.capacity());
        failed.extend(state.waiting.drain(..over));
        self.serve(&mut state, &mut left);
        drop(state);
        for waiter in failed {
            // One that has gone meanwhile needs no answer.
            drop(waiter.send(Err(UnsentCause::Connect(Arc::clone(&failure)))));
        }
        drop(left);
    }

    fn closed(self: &Arc<Self>) {
        self.cells().open.fetch_sub(1, Ordering::Relaxed);
        let mut left = Leftover::default();
        let mut state = self.state();
        state.open -= 1;
        self.sweep_state(&mut state, &mut left);
        state.waiting.retain(|waiter| !waiter.is_closed());
        self.serve(&mut state, &mut left);
        drop(state);
        drop(left);
    }

    /// Closes what has been idle for too long or is too old. Says whether there is nothing
    /// left, in which case nobody can use the host any more.
    pub(super) fn sweep(&self, left: &mut Leftover<B>) -> bool {
        let mut state = self.state();
        self.sweep_state(&mut state, left);
        let gone = state.open == 0 && state.connecting == 0 && state.waiting.is_empty();
        state.retired |= gone;
        gone
    }

    fn sweep_state(&self, state: &mut State<B>, left: &mut Leftover<B>) {
        let now = Instant::now();
        for _ in 0..state.idle.len() {
            if let Some(connection) = state.idle.pop_front() {
                if connection.is_kept(now) {
                    state.idle.push_back(connection);
                } else {
                    if connection.is_overdue(now) {
                        (self.shared.report)(Bound::Idle);
                    }
                    self.shared.idle.fetch_sub(1, Ordering::Relaxed);
                    left.idle.push_back(connection);
                }
            }
        }
        left.multiplexed.extend(state.multiplexed.extract_if(.., |other| !other.is_kept(now)));
    }

    /// Lets go of all that is not under way, for good.
    pub(super) fn retire(&self, left: &mut Leftover<B>) {
        let mut state = self.state();
        state.retired = true;
        self.shared.idle.fetch_sub(state.idle.len(), Ordering::Relaxed);
        left.idle.extend(state.idle.drain(..));
        left.multiplexed.append(&mut state.multiplexed);
        left.waiting.append(&mut state.waiting);
    }

    /// Connections that are open.
    pub(super) fn open(&self) -> usize {
        self.state().open
    }

    /// Connections that serve no request.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        let state = self.state();
        let multiplexed = state.multiplexed.iter().filter(|connection| connection.is_idle());
        state.idle.len() + multiplexed.count()
    }
}

impl<B: RequestBody> State<B> {
    /// Whether so many wait. Those who have gone are looked for only when it seems so.
    fn is_full(&mut self, most: usize) -> bool {
        if self.waiting.len() >= most {
            self.waiting.retain(|waiter| !waiter.is_closed());
        }
        self.waiting.len() >= most
    }

    /// Gives a connection to the first one that still waits, or back.
    fn deliver(&mut self, mut checkout: Checkout<B>) -> Option<Checkout<B>> {
        while let Some(waiter) = self.waiting.pop_front() {
            match waiter.send(Ok(checkout)) {
                Err(Ok(back)) => checkout = back,
                Ok(()) | Err(Err(_)) => return None,
            }
        }
        Some(checkout)
    }
}

/// One attempt to connect, which has failed when it is dropped with a failure.
struct Attempt<B: RequestBody> {
    host: Arc<Host<B>>,
    failure: Option<ConnectError>,
}

impl<B: RequestBody> Drop for Attempt<B> {
    fn drop(&mut self) {
        if let Some(failure) = self.failure.take() {
            self.host.connect_failed(failure);
        }
    }
}

/// One open connection, held by its task.
pub(super) struct Open<B: RequestBody>(Arc<Host<B>>);

impl<B: RequestBody> Open<B> {
    pub(super) fn new(host: &Arc<Host<B>>) -> Self {
        host.cells().open.fetch_add(1, Ordering::Relaxed);
        host.state().open += 1;
        Self(Arc::clone(host))
    }
}

impl<B: RequestBody> Drop for Open<B> {
    fn drop(&mut self) {
        self.0.closed();
    }
}
