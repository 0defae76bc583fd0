//! The deadline that surrounds the code that runs: set for each poll of a future and taken
//! back after it, so that it follows a task on any executor and from thread to thread.

use std::cell::Cell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Deadline;

thread_local! {
    static CURRENT: Cell<Option<Deadline>> = const { Cell::new(None) };
}

/// The deadline of the code that asks, if it has one.
#[inline]
#[must_use]
pub fn current() -> Option<Deadline> {
    CURRENT.with(Cell::get)
}

/// Runs `future` under `deadline`: it is what [`current`] gives wherever the future runs.
///
/// A deadline that is ambient already, where this is called or where the future is polled,
/// is only made tighter. Nothing is cut off: who waits asks for the deadline.
///
/// A task that is spawned within has no deadline by itself. To hand it on, wrap it before it
/// is spawned.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::time::Duration;
/// use updraft_resilience::ManualClock;
/// use updraft_resilience::deadline::{self, Deadline};
///
/// let now = ManualClock::new().now();
/// let (short, long) = (Duration::from_secs(1), Duration::from_secs(60));
/// let seen = deadline::with(Deadline::after(now, short), async {
///     deadline::with(Deadline::after(now, long), async { deadline::current() }).await
/// });
/// assert_eq!(seen.await, Some(Deadline::after(now, short)));
/// # }
/// ```
pub fn with<F: Future>(deadline: Deadline, future: F) -> With<F> {
    With { deadline: Some(deadline.within_current()), future }
}

/// Runs `future` without a deadline: for work that outlives the call that started it, or that
/// several calls wait for.
pub fn without<F: Future>(future: F) -> With<F> {
    With { deadline: None, future }
}

pin_project_lite::pin_project! {
    /// The future of [`with`] and [`without`].
    #[derive(Debug)]
    #[must_use = "it does nothing until it is awaited"]
    pub struct With<F> {
        deadline: Option<Deadline>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for With<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = Entered::replace(this.deadline.map(Deadline::within_current));
        this.future.poll(cx)
    }
}

/// Makes `deadline` ambient on this thread until the guard is dropped: for blocking code. As
/// with [`with`], it only ever gets tighter.
///
/// Guards are dropped in the reverse order of their making, as local variables are. The guard
/// stays on its thread, and does not belong in asynchronous code: other tasks would see it.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::ManualClock;
/// use updraft_resilience::deadline::{self, Deadline};
///
/// let deadline = Deadline::after(ManualClock::new().now(), Duration::from_secs(1));
/// {
///     let _entered = deadline::enter(deadline);
///     assert_eq!(deadline::current(), Some(deadline));
/// }
/// assert_eq!(deadline::current(), None);
/// ```
#[inline]
pub fn enter(deadline: Deadline) -> Entered {
    Entered::replace(Some(deadline.within_current()))
}

/// The guard of [`enter`].
#[derive(Debug)]
#[must_use = "the deadline is ambient only while this lives"]
pub struct Entered {
    outer: Option<Deadline>,
    /// What was taken from a thread is given back to the same one.
    of_this_thread: PhantomData<*const ()>,
}

impl Entered {
    #[inline]
    fn replace(deadline: Option<Deadline>) -> Self {
        Self { outer: CURRENT.replace(deadline), of_this_thread: PhantomData }
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}
