//! Moments and days as both kinds of database keep them.

use jiff::Timestamp;
#[cfg(feature = "postgres")]
use jiff::civil::Date;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::ValueError;

/// 2000-01-01T00:00:00Z, from which PostgreSQL counts, in microseconds of Unix.
#[cfg(feature = "postgres")]
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// The same day as `jiff` counts.
#[cfg(feature = "postgres")]
const POSTGRES_EPOCH: Date = jiff::civil::date(2000, 1, 1);

/// The moment without what is finer than a microsecond.
///
/// # Errors
///
/// Before the year 1: a text of it would not sort as the moment does.
pub(super) fn storable(moment: Timestamp) -> Result<Timestamp, ValueError> {
    let floor = moment.as_nanosecond().div_euclid(1000);
    let moment = i64::try_from(floor).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
    let moment = moment.ok_or(ValueError("a moment cannot be stored"))?;
    if TimeZone::UTC.to_datetime(moment).year() < 1 {
        return Err(ValueError("a moment before the year 1 cannot be stored"));
    }
    Ok(moment)
}

/// `2026-01-31T12:00:00.000000Z`.
pub(super) fn text(moment: Timestamp) -> String {
    format!("{moment:.6}")
}

/// What [`text`] writes, and what SQLite's own functions write: `2026-01-31 12:00:00` in UTC.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let civil: DateTime = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

/// Microseconds since PostgreSQL's epoch.
#[cfg(feature = "postgres")]
pub(super) fn postgres_us(moment: Timestamp) -> i64 {
    moment.as_microsecond() - POSTGRES_EPOCH_US
}

/// The moment so many microseconds after PostgreSQL's epoch; its infinities are none.
#[cfg(feature = "postgres")]
pub(crate) fn of_postgres_us(us: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(us.checked_add(POSTGRES_EPOCH_US)?).ok()
}

/// Days since PostgreSQL's epoch.
#[cfg(feature = "postgres")]
pub(super) fn postgres_days(date: Date) -> i32 {
    let span = date.duration_since(POSTGRES_EPOCH);
    i32::try_from(span.as_hours() / 24).unwrap_or(i32::MAX)
}

/// The day so many days after PostgreSQL's epoch.
#[cfg(feature = "postgres")]
pub(crate) fn of_postgres_days(days: i32) -> Option<Date> {
    let span = jiff::SignedDuration::from_hours(i64::from(days) * 24);
    POSTGRES_EPOCH.checked_add(span).ok()
}
