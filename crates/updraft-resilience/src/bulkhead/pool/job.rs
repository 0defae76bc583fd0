//! The outcome of a job of the pool, on its way from the thread to whoever waits for it, which
//! is a task or another thread.

use std::any::Any;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::{fmt, mem, thread};

use super::Shared;
use crate::bulkhead::blocking::unparks_this_thread;

/// Why a job has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// It panicked, with this message if it was one.
    #[error("the job panicked: {0}")]
    Panicked(String),
    /// The pool was dropped before the job started.
    #[error("the pool was closed before the job started")]
    Closed,
}

impl JobError {
    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let message = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panicked(message.unwrap_or_else(|| "no message".to_owned()))
    }
}

/// The place where the outcome is handed over.
pub(super) struct Cell<T>(Mutex<Stage<T>>);

enum Stage<T> {
    Pending(Option<Waker>),
    Done(Result<T, JobError>),
    Taken,
}

impl<T> Cell<T> {
    fn stage(&self) -> MutexGuard<'_, Stage<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self, outcome: Result<T, JobError>) {
        let before = {
            let mut stage = self.stage();
            match *stage {
                Stage::Pending(_) => mem::replace(&mut *stage, Stage::Done(outcome)),
                Stage::Done(_) | Stage::Taken => return,
            }
        };
        if let Stage::Pending(Some(waker)) = before {
            waker.wake();
        }
    }
}

/// The thread's end. Dropped without an outcome, it says that there will be none.
pub(super) struct Delivery<T>(Arc<Cell<T>>);

impl<T> Delivery<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Cell(Mutex::new(Stage::Pending(None)))))
    }

    pub(super) fn cell(&self) -> Arc<Cell<T>> {
        Arc::clone(&self.0)
    }

    pub(super) fn deliver(self, outcome: Result<T, JobError>) {
        self.0.fill(outcome);
    }
}

impl<T> Drop for Delivery<T> {
    fn drop(&mut self) {
        self.0.fill(Err(JobError::Closed));
    }
}

/// A job of a [`ThreadPool`](super::ThreadPool): a future of its outcome, or
/// [something to wait for](Self::wait) for a thread.
///
/// Dropped before it has started, the job never runs, and its place in the queue is free;
/// one that runs cannot be stopped, and its outcome is thrown away. [Detach](Self::detach) it
/// to have it run all the same.
#[must_use = "a job that is dropped before it starts never runs"]
pub struct Job<T> {
    cell: Arc<Cell<T>>,
    pool: Option<Arc<Shared>>,
    number: u64,
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<T> Job<T> {
    pub(super) fn new(cell: Arc<Cell<T>>, pool: Arc<Shared>, number: u64) -> Self {
        Self { cell, pool: Some(pool), number }
    }

    /// Lets the job run without anybody who waits for it.
    pub fn detach(mut self) {
        self.pool = None;
    }

    /// Blocks the thread until the job has ended. A job that waits for another one of its own
    /// pool takes a thread from it, and may wait forever.
    ///
    /// # Errors
    ///
    /// [`JobError`] when it panicked, or never started.
    pub fn wait(mut self) -> Result<T, JobError> {
        let waker = unparks_this_thread();
        let mut context = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut self).poll(&mut context) {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl<T> Future for Job<T> {
    type Output = Result<T, JobError>;

    /// Polled again after it was ready, it stays pending.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Declared before the lock, so that the waker it gets is dropped after it.
        let mut waker = Some(cx.waker().clone());
        let cell = Arc::clone(&self.cell);
        let mut stage = cell.stage();
        match &mut *stage {
            Stage::Pending(slot) => {
                mem::swap(slot, &mut waker);
                return Poll::Pending;
            }
            Stage::Taken => return Poll::Pending,
            Stage::Done(_) => {}
        }
        let done = mem::replace(&mut *stage, Stage::Taken);
        drop(stage);
        self.pool = None;
        match done {
            Stage::Done(outcome) => Poll::Ready(outcome),
            Stage::Pending(_) | Stage::Taken => Poll::Pending,
        }
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.withdraw(self.number);
        }
    }
}
