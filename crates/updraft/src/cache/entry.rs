//! How a value is kept: 13 digits that say until when it is fresh, in milliseconds since 1970,
//! and its JSON text. A script on the server reads it as well as we do.

use std::sync::Arc;
use std::time::Duration;

/// How many digits the time has: enough until the year 2286.
pub(super) const STAMP: usize = 13;

/// A value with its freshness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Stamp and JSON text.
    pub(super) text: Arc<str>,
}

impl Entry {
    /// A value that is fresh for so long from now on.
    pub(super) fn new(json: &str, ttl: Duration) -> Self {
        let until = now_ms().saturating_add(millis(ttl)).min(9_999_999_999_999);
        Self { text: format!("{until:0STAMP$}{json}").into() }
    }

    /// What was read; `None` if somebody else wrote it.
    #[cfg(any(test, feature = "redis"))]
    pub(super) fn read(text: impl Into<Arc<str>>) -> Option<Self> {
        let text: Arc<str> = text.into();
        let stamp = text.get(..STAMP)?;
        stamp.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
        Some(Self { text })
    }

    pub(super) fn json(&self) -> &str {
        self.text.get(STAMP..).unwrap_or_default()
    }

    pub(super) fn is_fresh(&self) -> bool {
        let until = self.text.get(..STAMP).and_then(|stamp| stamp.parse::<u64>().ok());
        until.is_some_and(|until| now_ms() < until)
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    // A clock before 1970 makes everything fresh, which the time to live then ends.
    u64::try_from(crate::clock::now().as_millisecond()).unwrap_or_default()
}

/// Whole milliseconds; never 0, which Redis would take for "at once".
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written_and_others_are_not() {
        let entry = Entry::new("{\"a\":1}", Duration::from_secs(60));
        let read = Entry::read(entry.text.clone()).unwrap();
        assert_eq!(read.json(), "{\"a\":1}");
        assert!(read.is_fresh());
        assert!(!Entry::read("0000000000001null").unwrap().is_fresh());
        for foreign in ["", "null", "12345678901", "x000000000001null", "ääääääääääääää"]
        {
            assert_eq!(Entry::read(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_time_to_live_without_end_stays_in_the_stamp() {
        let entry = Entry::new("1", Duration::MAX);
        assert_eq!(entry.json(), "1");
        assert!(entry.is_fresh());
    }
}
