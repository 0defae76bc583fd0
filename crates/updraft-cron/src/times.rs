//! When a cron expression fires.

use std::sync::Arc;

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::missed::{Due, Missed};
use super::zone::Zone;

/// Times that are looked through at once: more are missed in one go.
const LOOKED_THROUGH: usize = 10_000;

/// How many fields an expression may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// Minute, hour, day of the month, month, day of the week.
    Five,
    /// Five, or six with seconds before them.
    FiveOrSix,
}

/// The text is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidExpression {
    /// What the parser says of it.
    reason: String,
}

/// The times at which a cron expression fires, by the clocks of a zone.
///
/// `@daily` and the like, `L`, `#`, `W` and names of months and days are understood.
///
/// When clocks are turned forward, a time that does not exist fires at the first moment after
/// the gap. When they are turned back, a time of one fixed hour and minute fires once, at the
/// first of the two; one of several hours or of every few minutes fires as often as the time
/// that really passes says.
///
/// ```
/// use updraft_cron::{Fields, Times, Zone};
///
/// let times = Times::new("0 6 * * *", Fields::Five, Zone::find("Europe/Riga")?)?;
/// let next = times.next("2026-07-10T00:00:00Z".parse()?);
/// assert_eq!(next, Some("2026-07-10T03:00:00Z".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Times {
    cron: Arc<Cron>,
    zone: TimeZone,
}

impl Times {
    /// The times of an expression in a zone.
    ///
    /// # Errors
    ///
    /// [`InvalidExpression`] when the text is none.
    pub fn new(expression: &str, fields: Fields, zone: Zone) -> Result<Self, InvalidExpression> {
        let cron = parse(expression, fields)?;
        Ok(Self { cron: Arc::new(cron), zone: zone.into_inner() })
    }

    /// Whether a text is an expression, without a zone.
    ///
    /// # Errors
    ///
    /// [`InvalidExpression`] when it is none.
    pub fn check(expression: &str, fields: Fields) -> Result<(), InvalidExpression> {
        parse(expression, fields).map(drop)
    }

    /// The first time after `after`; none, when there is no such day in the calendar.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after: Zoned = after.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(next.timestamp())
    }

    /// The times after `last` that have come by `now`, as the policy for missed ones says.
    /// At most 10,000 of them are looked through at once.
    pub fn due(&self, last: Timestamp, now: Timestamp, missed: Missed) -> Due {
        let mut passed = self.between(last, now);
        let (mut from, mut until) = (last, now);
        // Of too many the last count: they are looked for in the half that has them.
        while LOOKED_THROUGH <= passed.len() {
            let middle = from.saturating_add(until.duration_since(from) / 2).unwrap_or(until);
            if middle == from || middle == until {
                break;
            }
            let later = self.between(middle, until);
            if later.is_empty() {
                until = middle;
                passed = self.between(from, until);
            } else {
                from = middle;
                passed = later;
            }
        }
        missed.keep(passed, now)
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
}

fn parse(expression: &str, fields: Fields) -> Result<Cron, InvalidExpression> {
    let seconds = match fields {
        Fields::Five => Seconds::Disallowed,
        Fields::FiveOrSix => Seconds::Optional,
    };
    CronParser::builder()
        .seconds(seconds)
        .build()
        .parse(expression)
        .map_err(|error| InvalidExpression { reason: error.to_string() })
}

#[cfg(test)]
#[path = "times_tests.rs"]
mod tests;
