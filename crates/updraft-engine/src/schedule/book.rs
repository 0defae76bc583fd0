//! What is kept of all tasks: their last runs, and how far their schedules have been
//! followed, in the system's state folder, so that it outlives the run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use updraft_system::{Name, TaskCause, TaskRun, TaskSchedule};

use crate::durable;
use crate::state_dir::StateDir;

/// The longest book that is read; one of ten thousand tasks is shorter.
const BOOK_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A service and one of its tasks.
pub(crate) type Key = (Name, Name);

/// The book of one system. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct TaskBook {
    book: Arc<Mutex<Book>>,
    /// Told of each run that ends.
    ended: Arc<Notify>,
}

#[derive(Debug)]
struct Book {
    path: PathBuf,
    kept: BTreeMap<String, Kept>,
    live: BTreeMap<Key, Live>,
}

/// What is kept of one task.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Times of its schedule up to here have been dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    considered: Option<Timestamp>,
    /// The schedule that this is said of: another one begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<TaskRun>,
}

/// What is known of one task while the system runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Live {
    pub(crate) running: u32,
    pub(crate) waiting: u32,
    pub(crate) next: Option<Timestamp>,
}

/// Why a task runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause {
    pub(crate) cause: TaskCause,
    pub(crate) due: Option<Timestamp>,
}

/// The book cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaskBookError {
    /// The file is not what was written there.
    #[error(
        "{path}, line {line}, is not the book of this system's tasks: mend it or remove the file, which forgets their last runs"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Where in it.
        line: usize,
    },
    /// The file could not be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl TaskBook {
    /// The book of the system with this state folder; empty where it has none.
    ///
    /// # Errors
    ///
    /// [`TaskBookError`] when there is a file that cannot be read as one.
    pub fn open(state: &StateDir) -> Result<Self, TaskBookError> {
        let path = state.root().join("tasks.json");
        let kept = match read(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| TaskBookError::Damaged {
                path: path.display().to_string(),
                line: error.line(),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(TaskBookError::file("read", &path, error)),
        };
        let book = Book { path, kept, live: BTreeMap::new() };
        Ok(Self { book: Arc::new(Mutex::new(book)), ended: Arc::default() })
    }

    /// The run of a task that was started last.
    pub fn last(&self, service: &Name, task: &Name) -> Option<TaskRun> {
        self.lock().kept.get(&label(&(service.clone(), task.clone())))?.last.clone()
    }

    /// How far a schedule has been followed; `None`: it is new, and begins now.
    pub(crate) fn considered(&self, key: &Key, schedule: &TaskSchedule) -> Option<Timestamp> {
        let book = self.lock();
        let kept = book.kept.get(&label(key))?;
        (kept.schedule.as_ref() == Some(&identity(schedule))).then_some(kept.considered)?
    }

    /// Keeps how far a schedule has been followed.
    pub(crate) fn consider(
        &self,
        key: &Key,
        schedule: &TaskSchedule,
        considered: Timestamp,
    ) -> Result<(), TaskBookError> {
        self.lock().change(key, |kept| {
            kept.considered = Some(considered);
            kept.schedule = Some(identity(schedule));
        })
    }

    /// A run has begun at `started`, which tells it from others.
    pub(crate) fn begin(
        &self,
        key: &Key,
        started: Timestamp,
        cause: Cause,
    ) -> Result<(), TaskBookError> {
        let Cause { cause, due } = cause;
        let run = TaskRun { cause, due, started, ended: None, code: None, reason: None };
        let mut book = self.lock();
        book.live.entry(key.clone()).or_default().running += 1;
        book.change(key, |kept| kept.last = Some(run))
    }

    /// The run that began at `started` has ended.
    pub(crate) fn end(
        &self,
        key: &Key,
        started: Timestamp,
        code: Option<u8>,
        reason: String,
    ) -> Result<(), TaskBookError> {
        let mut book = self.lock();
        let live = book.live.entry(key.clone()).or_default();
        live.running = live.running.saturating_sub(1);
        self.ended.notify_waiters();
        book.change(key, |kept| {
            // One that began later is the last now.
            if let Some(last) = kept.last.as_mut().filter(|last| last.started == started) {
                last.ended = Some(Timestamp::now());
                last.code = code;
                last.reason = Some(reason);
            }
        })
    }

    /// What is known of a task while the system runs.
    pub(crate) fn live(&self, key: &Key) -> Live {
        self.lock().live.get(key).copied().unwrap_or_default()
    }

    /// Returns when no run of a task goes on.
    pub(crate) async fn idle(&self, key: &Key) {
        loop {
            // Before the look, so that no end is missed.
            let mut ended = pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.live(key).running == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Where the schedule of a task stands.
    pub(crate) fn stands(&self, key: &Key, waiting: u32, next: Option<Timestamp>) {
        let mut book = self.lock();
        let live = book.live.entry(key.clone()).or_default();
        (live.waiting, live.next) = (waiting, next);
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Each entry stands for itself.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn change(&mut self, key: &Key, change: impl FnOnce(&mut Kept)) -> Result<(), TaskBookError> {
        change(self.kept.entry(label(key)).or_default());
        let failed = |source| TaskBookError::file("write", &self.path, source);
        let text = serde_json::to_string_pretty(&self.kept).map_err(|e| failed(e.into()))?;
        durable::write(&self.path, text.as_bytes()).map_err(failed)
    }
}

impl TaskBookError {
    fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { action, path: path.display().to_string(), source }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BOOK_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn label((service, task): &Key) -> String {
    format!("{service}.{task}")
}

fn identity(schedule: &TaskSchedule) -> (String, String) {
    (schedule.every.clone(), schedule.timezone.clone())
}

#[cfg(test)]
mod tests {
    use updraft_system::{TaskMissed, TaskOverlap};

    use super::*;

    fn schedule(every: &str) -> TaskSchedule {
        TaskSchedule {
            every: every.to_owned(),
            timezone: "UTC".to_owned(),
            overlap: TaskOverlap::Skip,
            missed: TaskMissed::Once,
        }
    }

    #[test]
    fn a_book_outlives_its_run_and_another_schedule_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::throwaway(folder.path().to_owned());
        let key: Key = ("a".parse().unwrap(), "t".parse().unwrap());
        let at: Timestamp = "2026-05-01T10:00:00Z".parse().unwrap();
        let book = TaskBook::open(&state).unwrap();
        assert_eq!(book.considered(&key, &schedule("@daily")), None);
        book.consider(&key, &schedule("@daily"), at).unwrap();
        let cause = Cause { cause: TaskCause::Schedule, due: Some(at) };
        book.begin(&key, at, cause).unwrap();
        assert_eq!(book.live(&key).running, 1);

        // Killed with its system: the run has no end.
        let book = TaskBook::open(&state).unwrap();
        let last = book.last(&key.0, &key.1).unwrap();
        assert_eq!((last.cause, last.due, last.ended), (TaskCause::Schedule, Some(at), None));
        assert_eq!(book.live(&key).running, 0);
        assert_eq!(book.considered(&key, &schedule("@daily")), Some(at));
        assert_eq!(book.considered(&key, &schedule("@hourly")), None);

        let (first, second) = (at, at + jiff::SignedDuration::from_secs(1));
        book.begin(&key, first, Cause { cause: TaskCause::Release, due: None }).unwrap();
        book.begin(&key, second, Cause { cause: TaskCause::Hand, due: None }).unwrap();
        assert_eq!(book.live(&key).running, 2);
        book.end(&key, second, Some(3), "exit code 3".to_owned()).unwrap();
        book.end(&key, first, Some(0), "exit code 0".to_owned()).unwrap();
        assert_eq!(book.live(&key).running, 0);
        let last = TaskBook::open(&state).unwrap().last(&key.0, &key.1).unwrap();
        assert_eq!((last.cause, last.code), (TaskCause::Hand, Some(3)));
        assert!(last.ended.is_some_and(|ended| last.started <= ended));
    }

    #[test]
    fn a_damaged_book_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tasks.json"), "{\n\"a.t\": [}").unwrap();
        let state = StateDir::throwaway(folder.path().to_owned());
        let error = TaskBook::open(&state).unwrap_err().to_string();
        assert!(error.contains("tasks.json, line 2"), "{error}");
    }
}
