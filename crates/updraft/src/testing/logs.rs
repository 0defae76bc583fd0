//! The log of a service as its test reads it: the lines that a process would write, as records;
//! and as people read it when the test fails.

use std::fmt;
use std::ops::Deref;

use serde_json::{Map, Value};

use crate::telemetry::Captured;

/// What every line has, and people need not see in a test.
const USUAL: [&str; 9] =
    ["time", "level", "message", "target", "service", "process", "release", "trace_id", "span_id"];

/// The log of one test's service: a list of records, shown as lines for people.
#[derive(Clone, Debug, Default)]
pub struct TestLogs {
    records: Vec<LogRecord>,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    fields: Map<String, Value>,
}

impl TestLogs {
    pub(super) fn of(captured: &Captured) -> Self {
        let lines = captured.lines.all();
        let records = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        Self { records: records.map(|fields| LogRecord { fields }).collect() }
    }
}

impl Deref for TestLogs {
    type Target = [LogRecord];

    fn deref(&self) -> &[LogRecord] {
        &self.records
    }
}

impl fmt::Display for TestLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.records.is_empty() {
            return f.write_str("the service has logged nothing");
        }
        f.write_str("the log of the service:")?;
        self.records.iter().try_for_each(|record| write!(f, "\n  {record}"))
    }
}

impl LogRecord {
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    #[must_use]
    pub fn level(&self) -> &str {
        self.text("level")
    }

    /// What it says.
    #[must_use]
    pub fn message(&self) -> &str {
        self.text("message")
    }

    /// The module that says it.
    #[must_use]
    pub fn target(&self) -> &str {
        self.text("target")
    }

    /// The trace that it is of, if it is of any.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.fields.get("trace_id")?.as_str()
    }

    /// Any field, also of the spans around it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// As a terminal shows it: time, level, message and fields.
impl fmt::Display for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Hours to milliseconds of `2026-01-31T10:20:30.123456Z`.
        let time = self.text("time").get(11..23).unwrap_or_default();
        write!(f, "{time} {:>5} {}", self.level(), self.message())?;
        for (name, value) in self.fields.iter().filter(|(name, _)| !USUAL.contains(&&***name)) {
            match value {
                Value::String(text) => write!(f, " {name}={text}")?,
                value => write!(f, " {name}={value}")?,
            }
        }
        Ok(())
    }
}

/// An error with all its causes.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
