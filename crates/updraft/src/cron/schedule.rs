//! When a schedule fires, and what happens when that cannot be.

pub use updraft_cron::Missed;
use updraft_cron::{Due, Fields, InvalidExpression, Times, UnknownZone, Zone};

use jiff::Timestamp;

/// What happens when the run before still waits or runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// This time is left out, and noted in the history.
    #[default]
    Forbid,
    /// Both run.
    Allow,
}

/// When a schedule fires: a cron expression in a time zone.
///
/// The expression has five fields (minute, hour, day of the month, month, day of the week),
/// or six with seconds before them. `@daily`, `L`, `#`, `W` and names of months and days are
/// understood. The zone is one of the IANA database, such as `Europe/Riga`, or `UTC`.
///
/// When clocks are turned forward, a time that does not exist fires at the first moment after
/// the gap. When they are turned back, a time of a fixed hour fires once, at the first of the
/// two; one of every hour or every few minutes fires as often as the time that really passes
/// says.
///
/// ```
/// use updraft::{Missed, Overlap, Schedule};
///
/// let every_morning = Schedule::new("0 6 * * *", "Europe/Riga")
///     .missed(Missed::Skip)
///     .overlap(Overlap::Allow);
/// # let _ = every_morning;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Schedule {
    expression: &'static str,
    zone: &'static str,
    missed: Missed,
    overlap: Overlap,
}

/// A schedule is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The expression is none.
    #[error(
        "the schedule `{name}` has `{expression}`, which is no cron expression: it needs minute, hour, day of the month, month and day of the week, as in `0 6 * * *`"
    )]
    Expression {
        /// The schedule's name.
        name: &'static str,
        /// What it says.
        expression: &'static str,
        /// What is wrong.
        source: InvalidExpression,
    },
    /// The zone is unknown.
    #[error(
        "the schedule `{name}` has the time zone `{zone}`, which is not in the IANA database: write one such as `Europe/Riga` or `UTC`"
    )]
    Zone {
        /// The schedule's name.
        name: &'static str,
        /// What it says.
        zone: &'static str,
        /// What is wrong.
        source: UnknownZone,
    },
    /// Two schedules have one name.
    #[error(
        "two schedules are called `{name}`: the name tells their fires apart, so give each its own"
    )]
    Twice {
        /// The name.
        name: &'static str,
    },
}

impl Schedule {
    /// Fires when `expression` says, by the clocks of `zone`. What is wrong with them is said
    /// when the process starts.
    pub const fn new(expression: &'static str, zone: &'static str) -> Self {
        Self { expression, zone, missed: Missed::RunOnce, overlap: Overlap::Forbid }
    }

    /// What happens to times that passed while no scheduler ran; [`Missed::RunOnce`] when it
    /// is not said.
    pub const fn missed(self, missed: Missed) -> Self {
        Self { missed, ..self }
    }

    /// What happens when the run before still waits or runs; [`Overlap::Forbid`] when it is
    /// not said.
    pub const fn overlap(self, overlap: Overlap) -> Self {
        Self { overlap, ..self }
    }

    pub(super) fn overlaps(&self) -> Overlap {
        self.overlap
    }

    /// The times of the schedule.
    pub(super) fn timing(&self, name: &'static str) -> Result<Timing, ScheduleError> {
        let (expression, zone) = (self.expression, self.zone);
        let found = Zone::find(zone).map_err(|source| ScheduleError::Zone { name, zone, source });
        // What is wrong with the expression is said first, as it stands first.
        Times::check(expression, Fields::FiveOrSix)
            .map_err(|source| ScheduleError::Expression { name, expression, source })?;
        let times = Times::new(expression, Fields::FiveOrSix, found?)
            .map_err(|source| ScheduleError::Expression { name, expression, source })?;
        Ok(Timing { times, missed: self.missed })
    }
}

/// The times at which a schedule fires.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    times: Times,
    missed: Missed,
}

impl Timing {
    /// The first time after `after`; none, when there is no such day in the calendar.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.times.next(after)
    }

    /// The times after `last` that have come by `now`, as the policy for missed ones says.
    pub(super) fn due(&self, last: Timestamp, now: Timestamp) -> Due {
        self.times.due(last, now, self.missed)
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
