//! One run: its future, which any of its callers moves on, and whom to wake.

use std::any::Any;
use std::collections::BTreeMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// The future that the callers share.
pub(super) type Shared<V> = Pin<Box<dyn Future<Output = V> + Send>>;

/// What a run panicked with.
pub(super) type Panic = Box<dyn Any + Send>;

/// Where a caller stands after it has looked at its run.
pub(super) enum Step<V> {
    Pending,
    Value(V),
    /// The run panicked, or will never end; its leader gets the panic.
    Broken(Option<Panic>),
}

pub(super) struct Flight<V>(Mutex<Core<V>>);

struct Core<V> {
    stage: Stage<V>,
    wakers: BTreeMap<u64, Waker>,
    numbers: u64,
}

enum Stage<V> {
    /// Some caller is at work on the future, which is to be polled `again` after that.
    Busy {
        again: bool,
    },
    /// The future waits, or is `ready` to be polled.
    Idle {
        future: Shared<V>,
        ready: bool,
    },
    Done(Arc<V>),
    Broken(Option<Panic>),
}

/// The leader is at work from the start: it makes the future.
impl<V> Default for Flight<V> {
    fn default() -> Self {
        let stage = Stage::Busy { again: false };
        Self(Mutex::new(Core { stage, wakers: BTreeMap::new(), numbers: 0 }))
    }
}

impl<V> Flight<V> {
    fn core(&self) -> MutexGuard<'_, Core<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for one more caller.
    pub(super) fn number(&self) -> u64 {
        let mut core = self.core();
        core.numbers += 1;
        core.numbers
    }

    /// The leader has made the future, and is about to poll it.
    pub(super) fn start(&self, future: Shared<V>) {
        self.core().stage = Stage::Idle { future, ready: true };
    }

    /// There will be no value.
    pub(super) fn break_down(&self, panic: Panic) {
        self.end(Stage::Broken(Some(panic)));
    }

    fn end(&self, stage: Stage<V>) {
        let (before, wakers) = {
            let mut core = self.core();
            (mem::replace(&mut core.stage, stage), mem::take(&mut core.wakers))
        };
        wake(wakers);
        drop(before);
    }

    /// A caller leaves; with the `last` one the run ends, wherever it stands.
    pub(super) fn leave(&self, number: u64, last: bool) {
        let mut core = self.core();
        let waker = core.wakers.remove(&number);
        let before = last.then(|| mem::replace(&mut core.stage, Stage::Broken(None)));
        // What they drop may come back for the lock.
        drop(core);
        drop((waker, before));
    }
}

impl<V: Clone + Send + Sync + 'static> Flight<V> {
    /// Moves the run on if nobody else does. `close` is called once when the run has ended,
    /// keeps others from joining it, and gives the number of callers.
    pub(super) fn poll(
        self: &Arc<Self>,
        number: u64,
        leads: bool,
        cx: &mut Context<'_>,
        close: impl FnOnce() -> usize,
    ) -> Step<V> {
        match self.look(number, leads, cx.waker()) {
            Look::Step(step) => step,
            Look::Done(value) => Step::Value(V::clone(&value)),
            Look::Drive(future) => self.drive(number, leads, future, close),
        }
    }

    fn look(&self, number: u64, leads: bool, waker: &Waker) -> Look<V> {
        let waker = waker.clone();
        let mut core = self.core();
        match &mut core.stage {
            Stage::Done(value) => return Look::Done(Arc::clone(value)),
            Stage::Broken(panic) => {
                let panic = if leads { panic.take() } else { None };
                return Look::Step(Step::Broken(panic));
            }
            Stage::Busy { .. } | Stage::Idle { .. } => {}
        }
        // Also the one who moves the future on is woken with the others.
        let before = core.wakers.insert(number, waker);
        let look = match mem::replace(&mut core.stage, Stage::Busy { again: false }) {
            Stage::Idle { future, ready: true } => Look::Drive(future),
            unchanged => {
                core.stage = unchanged;
                Look::Step(Step::Pending)
            }
        };
        drop(core);
        drop(before);
        look
    }

    fn drive(
        self: &Arc<Self>,
        number: u64,
        leads: bool,
        mut future: Shared<V>,
        close: impl FnOnce() -> usize,
    ) -> Step<V> {
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        // The future is dropped where a panic is contained as well: it ends here.
        let polled =
            catch_unwind(AssertUnwindSafe(move || match future.as_mut().poll(&mut context) {
                Poll::Ready(value) => Ok(value),
                Poll::Pending => Err(future),
            }));
        match polled {
            Ok(Err(future)) => {
                self.rest(future);
                Step::Pending
            }
            Ok(Ok(value)) => {
                let callers = close();
                let own = self.core().wakers.remove(&number);
                drop(own);
                if callers <= 1 {
                    return Step::Value(value);
                }
                // Cloned after the others have theirs, as a clone may panic.
                let value = Arc::new(value);
                self.end(Stage::Done(Arc::clone(&value)));
                Step::Value(V::clone(&value))
            }
            Err(panic) => {
                close();
                let own = self.core().wakers.remove(&number);
                drop(own);
                let (mine, theirs) = if leads { (Some(panic), None) } else { (None, Some(panic)) };
                self.end(Stage::Broken(theirs));
                Step::Broken(mine)
            }
        }
    }

    /// Puts the future back. If it was to be polled again in the meantime, every caller is
    /// told, as those who looked have seen that somebody was at work.
    fn rest(&self, future: Shared<V>) {
        let mut core = self.core();
        let again = matches!(core.stage, Stage::Busy { again: true });
        core.stage = Stage::Idle { future, ready: again };
        let wakers = if again { mem::take(&mut core.wakers) } else { BTreeMap::new() };
        drop(core);
        wake(wakers);
    }
}

/// What a caller sees.
enum Look<V> {
    Step(Step<V>),
    Done(Arc<V>),
    Drive(Shared<V>),
}

fn wake(wakers: BTreeMap<u64, Waker>) {
    for waker in wakers.into_values() {
        waker.wake();
    }
}

impl<V: Send + Sync> Wake for Flight<V> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let wakers = {
            let mut core = self.core();
            match &mut core.stage {
                Stage::Busy { again } => {
                    *again = true;
                    return;
                }
                Stage::Idle { ready, .. } => *ready = true,
                Stage::Done(_) | Stage::Broken(_) => return,
            }
            mem::take(&mut core.wakers)
        };
        wake(wakers);
    }
}
