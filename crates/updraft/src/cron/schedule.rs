//! When a schedule fires, and what happens when that cannot be.

use std::sync::Arc;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// What happens to the times that passed while no scheduler ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// They are left out; the schedule goes on with its next time.
    Skip,
    /// The last of them is fired, once.
    #[default]
    RunOnce,
    /// Each of them is fired, the oldest first; of more than `most`, the last so many.
    RunAll {
        /// How many at most.
        most: u32,
    },
}

/// What happens when the run before still waits or runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// This time is left out, and noted in the history.
    #[default]
    Forbid,
    /// Both run.
    Allow,
}

/// A time later than this was missed; until then it is only late.
const LATE: Duration = Duration::from_secs(60);

/// Times that are looked through at once: more are missed in one go.
const LOOKED_THROUGH: usize = 10_000;

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
        source: croner::errors::CronError,
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
        source: jiff::Error,
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
    pub(super) fn times(&self, name: &'static str) -> Result<Times, ScheduleError> {
        let expression = self.expression;
        let cron = CronParser::builder()
            .seconds(Seconds::Optional)
            .build()
            .parse(expression)
            .map_err(|source| ScheduleError::Expression { name, expression, source })?;
        let zone = TimeZone::get(self.zone).map_err(|source| ScheduleError::Zone {
            name,
            zone: self.zone,
            source,
        })?;
        Ok(Times { cron: Arc::new(cron), zone, missed: self.missed })
    }
}

/// The times at which a schedule fires.
#[derive(Clone, Debug)]
pub(super) struct Times {
    cron: Arc<Cron>,
    zone: TimeZone,
    missed: Missed,
}

/// What is to be fired now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) fires: Vec<Timestamp>,
    /// Times that are left out.
    pub(super) left_out: u64,
}

impl Times {
    /// The first time after `after`; none, when there is no such day in the calendar.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after: Zoned = after.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(next.timestamp())
    }

    /// The times after `last` up to `now`; of too many the first.
    fn between(&self, last: Timestamp, now: Timestamp) -> Vec<Timestamp> {
        let mut passed = Vec::new();
        let mut after = last;
        while let Some(next) = self.next(after).filter(|next| *next <= now && after < *next) {
            passed.push(next);
            after = next;
            if LOOKED_THROUGH <= passed.len() {
                break;
            }
        }
        passed
    }

    /// The times after `last` that have come by `now`, as the policy for missed ones says.
    pub(super) fn due(&self, last: Timestamp, now: Timestamp) -> Due {
        let mut passed = self.between(last, now);
        let mut from = last;
        // Of too many the last count: they are looked for ever nearer to now.
        while LOOKED_THROUGH <= passed.len() {
            from = from.saturating_add(now.duration_since(from) / 2).unwrap_or(now);
            let later = self.between(from, now);
            if later.is_empty() {
                break;
            }
            passed = later;
        }
        let all = passed.len();
        let on_time = |at: &Timestamp| {
            now.duration_since(*at) <= jiff::SignedDuration::try_from(LATE).unwrap_or_default()
        };
        let keep = match self.missed {
            Missed::Skip => usize::from(passed.last().is_some_and(on_time)),
            Missed::RunOnce => all.min(1),
            Missed::RunAll { most } => all.min(usize::try_from(most.max(1)).unwrap_or(usize::MAX)),
        };
        let fires = passed.split_off(all - keep);
        Due { fires, left_out: u64::try_from(all - keep).unwrap_or(u64::MAX) }
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
