//! The scheduler: it looks when each schedule is due, and fires it in the queue, where one
//! fire of all schedulers counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::schedule::{Overlap, Timing};
use super::{Entry, Payload, ScheduleError};
use crate::app::App;
use crate::queue::{
    FireAt, Fired, JobFamilies, NORMAL, NewJob, Queue, StoreError, Unique, bounded, now_ms,
};
use crate::{BoxError, Stop, clock};

/// The longest sleep: by then the clock of the machine may have been set.
const SLEEP_MOST: Duration = Duration::from_secs(30);

/// After trouble with the store.
const TROUBLE: Duration = Duration::from_secs(2);

/// All schedules of a service, checked.
#[derive(Clone, Debug)]
pub(crate) struct Timetable {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    name: &'static str,
    kind: &'static str,
    times: Timing,
    overlap: Overlap,
}

impl Timetable {
    /// Checks the schedules.
    pub(crate) fn of<A: App>(entries: &[Entry<A>]) -> Result<Self, Vec<ScheduleError>> {
        let mut lines: Vec<Line> = Vec::new();
        let mut errors = Vec::new();
        for entry in entries {
            let name = entry.name;
            if lines.iter().any(|line| line.name == name) {
                errors.push(ScheduleError::Twice { name });
            }
            match entry.schedule.timing(name) {
                Ok(times) => {
                    let overlap = entry.schedule.overlaps();
                    lines.push(Line { name, kind: entry.kind, times, overlap });
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Self { lines }) } else { Err(errors) }
    }
}

/// Fires schedules until the process ends.
pub(crate) struct Scheduler {
    queue: Queue,
    table: Timetable,
    families: Arc<JobFamilies>,
    /// Until when a schedule has left out what it missed: the store notes fires only.
    left_out: Mutex<BTreeMap<&'static str, Timestamp>>,
}

impl Scheduler {
    pub(crate) fn new(queue: Queue, table: Timetable, families: Arc<JobFamilies>) -> Self {
        Self { queue, table, families, left_out: Mutex::default() }
    }

    /// # Errors
    ///
    /// None today: trouble with the store is logged and waited out.
    pub(crate) async fn run(self, stop: Stop) -> Result<(), BoxError> {
        while !stop.is_requested() {
            let sleep = match self.turn().await {
                Ok(sleep) => sleep,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "cannot fire the schedules");
                    TROUBLE
                }
            };
            tokio::select! {
                () = stop.requested() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
        Ok(())
    }

    /// Fires what is due; gives how long nothing will be.
    pub(crate) async fn turn(&self) -> Result<Duration, StoreError> {
        let mut sleep = SLEEP_MOST;
        for line in &self.table.lines {
            let now = clock::now();
            let last = self.last(line, now).await?.max(self.left_out_until(line.name));
            let due = line.times.due(last, now);
            self.families.fired(line.name, "missed", due.left_out);
            if due.fires.is_empty() && 0 < due.left_out {
                self.left_out().insert(line.name, now);
            }
            for at in due.fires {
                if !self.fire(line, at).await? {
                    sleep = sleep.min(TROUBLE);
                    break;
                }
            }
            if let Some(next) = line.times.next(now) {
                let left = clock::now().duration_until(next);
                sleep = sleep.min(Duration::try_from(left).unwrap_or_default());
            }
        }
        // Just after the time, never just before it.
        Ok(sleep + Duration::from_millis(1))
    }

    fn left_out(&self) -> MutexGuard<'_, BTreeMap<&'static str, Timestamp>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left_out_until(&self, name: &str) -> Timestamp {
        self.left_out().get(name).copied().unwrap_or(Timestamp::MIN)
    }

    /// The last time that was fired; where there is none, the schedule begins now.
    async fn last(&self, line: &Line, now: Timestamp) -> Result<Timestamp, StoreError> {
        let store = self.queue.store();
        if let Some(last) = bounded(store.last_fire(line.name)).await? {
            return Ok(Timestamp::from_millisecond(last).unwrap_or(now));
        }
        let seen = FireAt { schedule: line.name, due_ms: now.as_millisecond() };
        bounded(store.first_seen(seen)).await?;
        Ok(now)
    }

    /// Fires one time; `false`: the queue has no room now.
    async fn fire(&self, line: &Line, due: Timestamp) -> Result<bool, StoreError> {
        let job = self.job(line, due)?;
        let at = FireAt { schedule: line.name, due_ms: due.as_millisecond() };
        let fired = bounded(self.queue.store().fire(at, &job)).await?;
        let due = due.to_string();
        match fired {
            Fired::Now => {
                self.queue.wake().notify_one();
                self.families.fired(line.name, "fired", 1);
                tracing::info!(schedule = line.name, due, job_id = job.id, "fired");
            }
            Fired::Overlaps => {
                self.families.fired(line.name, "overlaps", 1);
                tracing::warn!(schedule = line.name, due, "left out: the run before is not done");
            }
            Fired::Full => {
                tracing::error!(schedule = line.name, due, "cannot fire: the queue is full");
                return Ok(false);
            }
            Fired::Before => {}
        }
        Ok(true)
    }

    /// The job of a fire. All schedulers make the same, with the same id.
    fn job(&self, line: &Line, due: Timestamp) -> Result<NewJob, StoreError> {
        let payload = serde_json::to_string(&Payload { due })
            .map_err(|error| StoreError::Refused(error.into()))?;
        let name = format!("{}\n{}\n{}", self.queue.name(), line.name, due.as_millisecond());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..16]);
        let unique = match line.overlap {
            Overlap::Forbid => Some(Unique { key: line.name.to_owned(), until_ms: None }),
            Overlap::Allow => None,
        };
        Ok(NewJob {
            id: uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string(),
            kind: line.kind.to_owned(),
            payload,
            priority: NORMAL,
            max_attempts: self.queue.max_attempts(),
            due_ms: now_ms(),
            enqueued_ms: now_ms(),
            unique,
            trace: None,
            deadline_ms: None,
        })
    }
}
