//! Calls that the traps start, hold, end and drop by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::channel::oneshot;
use futures::task::noop_waker;

use super::{Broken, Call, Guard};

/// A call whose operation, if it was let through, hangs until it is told how to end.
pub struct Held {
    call: Call,
    admitted: Arc<AtomicBool>,
    end: oneshot::Sender<Result<(), Broken>>,
}

impl Held {
    pub fn start(guard: &dyn Guard) -> Self {
        let (end, ended) = oneshot::channel();
        let admitted = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&admitted);
        let mut call = guard.call(Box::pin(async move {
            seen.store(true, Ordering::SeqCst);
            ended.await.unwrap_or(Err(Broken))
        }));
        poll(&mut call);
        Self { call, admitted, end }
    }

    pub fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::SeqCst)
    }

    pub fn finish(mut self, result: Result<(), Broken>) {
        assert!(self.end.send(result).is_ok(), "the operation is gone");
        assert!(poll(&mut self.call), "a call does not end with its operation");
    }
}

/// A call whose operation ends at once. Whether it was let through.
pub fn call(guard: &dyn Guard, result: Result<(), Broken>) -> bool {
    let admitted = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&admitted);
    let mut call = guard.call(Box::pin(async move {
        seen.store(true, Ordering::SeqCst);
        result
    }));
    assert!(poll(&mut call), "a call does not end with its operation");
    admitted.load(Ordering::SeqCst)
}

/// Polls until it is done, or a few times: a call may yield for reasons of its own.
fn poll(call: &mut Call) -> bool {
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    (0..8).any(|_| matches!(call.as_mut().poll(&mut context), Poll::Ready(())))
}
