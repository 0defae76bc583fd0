//! The bulkhead for work that blocks: threads of its own and a bounded queue, so that a
//! dependency that hangs stops these threads and no others.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::{fmt, io, thread};

use super::Full;
use crate::invalid::{Findings, Invalid};

mod job;

use job::Delivery;
pub use job::{Job, JobError};

/// The limits of a [`ThreadPool`].
///
/// ```
/// use updraft_resilience::bulkhead::pool::{PoolConfig, ThreadPool};
///
/// let config = PoolConfig { name: "ledger".into(), threads: 2, queue: 10 };
/// let pool = ThreadPool::new(config)?;
/// let job = pool.submit(|| std::fs::read_to_string("/proc/self/stat"))?;
/// assert!(job.wait().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default, rename_all = "snake_case"))]
pub struct PoolConfig {
    /// What the threads are called, followed by a number from 1; `bulkhead` by default. The
    /// system may show the first 15 bytes only.
    pub name: String,
    /// How many jobs run at once, each on a thread of its own: 1 to 65 536, 8 by default.
    pub threads: u32,
    /// How many jobs may wait for a thread; 100 by default, as in Resilience4j. 0 refuses
    /// what no thread is free for.
    pub queue: u32,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { name: "bulkhead".to_owned(), threads: 8, queue: 100 }
    }
}

impl PoolConfig {
    /// Looks for limits that make no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        findings.require((1..=65_536).contains(&self.threads), "threads", "from 1 to 65536");
        let named = !self.name.is_empty() && !self.name.contains('\0');
        findings.require(named, "name", "a name without zero bytes");
        findings.into_result()
    }
}

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The limits make no sense.
    #[error("the pool cannot be as configured")]
    Invalid(#[from] Invalid),
    /// The system gave no thread.
    #[error("a thread of the pool could not be started")]
    Thread(#[from] io::Error),
}

/// What a [`ThreadPool`] is doing and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolSnapshot {
    /// The threads.
    pub threads: u32,
    /// Jobs that run.
    pub running: u32,
    /// Jobs that wait for a thread.
    pub queued: u32,
    /// Jobs refused, since the start.
    pub rejected: u64,
}

/// A job as the threads see it. It reports the end of its work before it delivers, so that
/// whoever has the outcome finds the thread free.
type Task = Box<dyn FnOnce(&Shared) + Send>;

/// Runs blocking work on a fixed number of its own threads, which start with the pool: no
/// caller ever pays for the start of one.
///
/// Dropping the pool refuses what waits ([`JobError::Closed`]) and blocks until what runs has
/// ended; a pool that is dropped by one of its own jobs does not wait for that job.
pub struct ThreadPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    config: PoolConfig,
    rejected: AtomicU64,
}

/// What the pool, its threads and its jobs have in common.
#[derive(Default)]
struct Shared {
    backlog: Mutex<Backlog>,
    work: Condvar,
}

#[derive(Default)]
struct Backlog {
    /// By arrival, so that a job that nobody wants any more is found.
    tasks: BTreeMap<u64, Task>,
    arrivals: u64,
    running: usize,
    closed: bool,
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool").field("config", &self.config).finish_non_exhaustive()
    }
}

impl ThreadPool {
    /// A pool whose threads run.
    ///
    /// # Errors
    ///
    /// [`PoolError`] when the limits make no sense, or the system gave fewer threads.
    pub fn new(config: PoolConfig) -> Result<Self, PoolError> {
        config.validate()?;
        let mut pool = Self {
            shared: Arc::default(),
            threads: Vec::new(),
            rejected: AtomicU64::new(0),
            config,
        };
        for number in 1..=pool.config.threads {
            let shared = Arc::clone(&pool.shared);
            let name = format!("{}-{number}", pool.config.name);
            // On failure the threads that have started end with the drop of `pool`.
            let thread = thread::Builder::new().name(name).spawn(move || shared.work())?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Has `work` done by one of the threads, in the order of submission.
    ///
    /// # Errors
    ///
    /// [`Full`] when every thread is busy and the queue is full.
    pub fn submit<T, F>(&self, work: F) -> Result<Job<T>, Full>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let delivery = Delivery::new();
        let cell = delivery.cell();
        let task = Box::new(move |shared: &Shared| {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            shared.backlog().running -= 1;
            delivery.deliver(outcome.map_err(|panic| JobError::panicked(panic.as_ref())));
        });
        let room = u64::from(self.config.threads) + u64::from(self.config.queue);
        let refused = self.shared.push(task, room);
        match refused {
            Ok(number) => Ok(Job::new(cell, Arc::clone(&self.shared), number)),
            Err(task) => {
                drop(task);
                self.rejected.fetch_add(1, Ordering::Relaxed);
                Err(Full)
            }
        }
    }

    /// The limits.
    pub const fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// What it is doing and has done.
    pub fn snapshot(&self) -> PoolSnapshot {
        let backlog = self.shared.backlog();
        let count = |length| u32::try_from(length).unwrap_or(u32::MAX);
        PoolSnapshot {
            threads: self.config.threads,
            running: count(backlog.running),
            queued: count(backlog.tasks.len()),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        let waiting = {
            let mut backlog = self.shared.backlog();
            backlog.closed = true;
            std::mem::take(&mut backlog.tasks)
        };
        self.shared.work.notify_all();
        drop(waiting);
        let own = thread::current().id();
        for thread in self.threads.drain(..).filter(|thread| thread.thread().id() != own) {
            // A thread contains the panics of its jobs; there is nothing to learn from it.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a task if fewer than `room` run or wait; gives it back otherwise, to be dropped
    /// outside of the lock.
    fn push(&self, task: Task, room: u64) -> Result<u64, Task> {
        let mut backlog = self.backlog();
        let present = backlog.tasks.len() + backlog.running;
        if u64::try_from(present).unwrap_or(u64::MAX) >= room {
            return Err(task);
        }
        let number = backlog.arrivals;
        backlog.arrivals += 1;
        backlog.tasks.insert(number, task);
        drop(backlog);
        self.work.notify_one();
        Ok(number)
    }

    /// Takes out a task that has not started.
    fn withdraw(&self, number: u64) {
        let task = self.backlog().tasks.remove(&number);
        drop(task);
    }

    /// The life of a thread.
    fn work(&self) {
        while let Some(task) = self.next_task() {
            // The work's own panic is contained in the task; what is left are those of its
            // outcome's drop and of wakers, which must not end the thread either.
            drop(catch_unwind(AssertUnwindSafe(|| task(self))));
        }
    }

    fn next_task(&self) -> Option<Task> {
        let idle = |backlog: &mut Backlog| backlog.tasks.is_empty() && !backlog.closed;
        let waited = self.work.wait_while(self.backlog(), idle);
        let mut backlog = waited.unwrap_or_else(PoisonError::into_inner);
        let (_, task) = backlog.tasks.pop_first()?;
        backlog.running += 1;
        Some(task)
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
