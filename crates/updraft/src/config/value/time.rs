//! Time spans, points in time, zones.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::Variable;

impl Variable for Duration {
    const EXPECTED: &'static str = "a time span such as 250ms, 45s or 1h30m";
    const EXAMPLE: &'static str = "45s";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not a time span".to_owned();
        let span: jiff::SignedDuration = text.parse().ok().ok_or_else(wrong)?;
        Self::try_from(span).ok().ok_or_else(wrong)
    }

    fn show(&self) -> String {
        let nanos = self.as_nanos();
        // The largest unit of which it is a whole number: what is shown can be read again.
        for (unit, name) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")] {
            if nanos.is_multiple_of(unit) {
                return format!("{}{name}", nanos / unit);
            }
        }
        format!("{nanos}ns")
    }
}

macro_rules! times {
    ($($type:ty, $expected:literal, $example:literal, $wrong:literal;)*) => {$(
        impl Variable for $type {
            const EXPECTED: &'static str = concat!($expected, $example);
            const EXAMPLE: &'static str = $example;

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_no_time| $wrong.to_owned())
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

times! {
    jiff::Timestamp, "a point in time of RFC 3339, such as ", "2026-01-31T06:00:00Z",
        "is not a point in time";
    jiff::civil::Date, "a date such as ", "2026-01-31", "is not a date";
    jiff::civil::Time, "a time of day such as ", "06:30:00", "is not a time of day";
}

impl Variable for TimeZone {
    const EXPECTED: &'static str = "the IANA name of a time zone, such as Europe/Riga or UTC";
    const EXAMPLE: &'static str = "Europe/Riga";

    fn parse(text: &str) -> Result<Self, String> {
        Self::get(text).map_err(|_no_zone| "is not a time zone that is known here".to_owned())
    }

    fn show(&self) -> String {
        self.iana_name().unwrap_or("UTC").to_owned()
    }
}
