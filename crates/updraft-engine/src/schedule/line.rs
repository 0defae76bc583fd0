//! One task by the calendar over time. It reads no clock and runs nothing: `now` and the
//! ends of runs come in, and what is to be done comes out.

use std::collections::VecDeque;

use jiff::Timestamp;
use updraft_cron::{Fields, Missed, Times, Zone};
use updraft_system::{TaskMissed, TaskOverlap, TaskSchedule};

/// Times that wait for the run before; further ones are left out.
const WAITING_MAX: usize = 16;
/// Runs of one task at once; further ones are left out.
const RUNNING_MAX: u32 = 16;

/// The schedule of one task, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    times: Times,
    missed: Missed,
    overlap: TaskOverlap,
    /// Times up to here have been dealt with.
    considered: Timestamp,
    running: u32,
    waiting: VecDeque<Timestamp>,
}

/// What is to be done with a time that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It runs now.
    Start(Timestamp),
    /// It waits for the run before.
    Wait(Timestamp),
    /// It is left out: the run before still goes on.
    Overlaps(Timestamp),
    /// It is left out: too many run or wait.
    TooMany(Timestamp),
    /// So many times have passed while nobody looked, and are left out.
    Missed(u64),
}

/// A schedule that cannot be followed on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the schedule of {task} cannot be followed: {reason}")]
pub(crate) struct LineError {
    task: String,
    reason: String,
}

impl Line {
    /// A schedule whose times up to `considered` have been dealt with.
    pub(crate) fn new(
        task: &str,
        schedule: &TaskSchedule,
        considered: Timestamp,
    ) -> Result<Self, LineError> {
        let failed = |reason: String| LineError { task: task.to_owned(), reason };
        let zone = Zone::find(&schedule.timezone).map_err(|error| failed(error.to_string()))?;
        let times = Times::new(&schedule.every, Fields::Five, zone);
        let missed = match schedule.missed {
            TaskMissed::Skip => Missed::Skip,
            TaskMissed::Once => Missed::RunOnce,
        };
        Ok(Self {
            times: times.map_err(|error| failed(error.to_string()))?,
            missed,
            overlap: schedule.overlap,
            considered,
            running: 0,
            waiting: VecDeque::new(),
        })
    }

    /// What is to be done with the times that have come by `now`.
    pub(crate) fn look(&mut self, now: Timestamp) -> Vec<Step> {
        let due = self.times.due(self.considered, now, self.missed);
        // A clock that was set back must not make what has run come again.
        self.considered = self.considered.max(now);
        let mut steps = Vec::new();
        if due.left_out != 0 {
            steps.push(Step::Missed(due.left_out));
        }
        for at in due.fires {
            steps.push(self.step(at));
        }
        steps
    }

    fn step(&mut self, at: Timestamp) -> Step {
        match self.overlap {
            _ if self.running == 0 => {}
            TaskOverlap::Skip => return Step::Overlaps(at),
            TaskOverlap::Queue if self.waiting.len() < WAITING_MAX => {
                self.waiting.push_back(at);
                return Step::Wait(at);
            }
            TaskOverlap::Allow if self.running < RUNNING_MAX => {}
            TaskOverlap::Queue | TaskOverlap::Allow => return Step::TooMany(at),
        }
        self.running += 1;
        Step::Start(at)
    }

    /// A run has ended; gives the time that runs now because it waited for that.
    pub(crate) fn ended(&mut self) -> Option<Timestamp> {
        self.running = self.running.saturating_sub(1);
        let next = self.waiting.pop_front()?;
        self.running += 1;
        Some(next)
    }

    /// The next time; none, when there is none in the calendar.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.times.next(self.considered)
    }

    /// Times up to here have been dealt with.
    pub(crate) fn considered(&self) -> Timestamp {
        self.considered
    }

    /// Times that wait for the run before.
    pub(crate) fn waiting(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }
}
