//! Lines of a system's log, as they are stored and sent.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{InvalidName, Name};

/// One line of the merged log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Position in the system's log: grows by one with each line, across runs.
    pub seq: u64,
    /// When the line was read.
    pub time: Timestamp,
    /// Who wrote it.
    #[serde(flatten)]
    pub source: LogSource,
    /// Where it was written.
    pub stream: LogStream,
    /// The text without its line feed; bytes that are not UTF-8 are replaced.
    pub line: String,
    /// The line was cut: it was too long, or no line feed came in time; its rest follows.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// Lines of this source that were lost just before this one because a reader was slow.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

/// Who writes lines: one replica of one process, a task, a build, or Updraft itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogSource {
    /// The service or resource.
    pub service: Name,
    /// The process type, task, or `build`.
    pub process: Name,
    /// Which copy, from 1.
    pub replica: u32,
    /// Which of the copy's two slots.
    #[serde(default, skip_serializing_if = "Slot::is_first")]
    pub slot: Slot,
}

/// Each copy of a process has two slots, each with a port of its own: during a roll-out the new
/// program starts in the one that is free, beside the old.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// Where a copy runs after an `up`; names do not show it.
    #[default]
    A,
    /// Where it runs after an odd number of roll-outs: `orders.web.1b`.
    B,
}

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A notice of Updraft's about the source: started, exited, lines dropped.
    Updraft,
}

/// A choice of sources: `svc`, `svc.proc` or `svc.proc.n`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogSelector {
    /// The service or resource.
    pub service: Name,
    /// One process type; `None`: all.
    pub process: Option<Name>,
    /// One copy, in either of its slots; `None`: all.
    pub replica: Option<u32>,
}

impl Slot {
    /// The one beside it.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    fn is_first(&self) -> bool {
        *self == Self::A
    }
}

impl LogSource {
    /// A copy in its first slot; a task, a build or a server is one copy.
    pub const fn new(service: Name, process: Name, replica: u32) -> Self {
        Self { service, process, replica, slot: Slot::A }
    }

    /// The same copy in its other slot.
    pub fn beside(&self) -> Self {
        Self { slot: self.slot.other(), ..self.clone() }
    }

    /// Whether both are one copy, in whichever slot.
    pub fn is_same_copy(&self, other: &Self) -> bool {
        self.replica == other.replica
            && self.process == other.process
            && self.service == other.service
    }
}

impl LogSelector {
    /// Whether lines of `source` are chosen.
    pub fn matches(&self, source: &LogSource) -> bool {
        self.service == source.service
            && self.process.as_ref().is_none_or(|process| *process == source.process)
            && self.replica.is_none_or(|replica| replica == source.replica)
    }
}

impl FromStr for LogSelector {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let service = parts.next().unwrap_or_default().parse()?;
        let process = parts.next().map(str::parse).transpose()?;
        // A name as `ps` and `logs` show it means the copy, whichever slot it was in.
        let number = |text: &str| text.strip_suffix('b').unwrap_or(text).parse::<u32>();
        let replica = parts.next().map(number).transpose();
        match (replica, parts.next()) {
            (Ok(replica), None) => Ok(Self { service, process, replica }),
            _ => Err(InvalidName(text.to_owned())),
        }
    }
}

impl TryFrom<String> for LogSelector {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LogSelector> for String {
    fn from(selector: LogSelector) -> Self {
        selector.to_string()
    }
}

impl fmt::Display for LogSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.service.as_str())?;
        if let Some(process) = &self.process {
            write!(f, ".{process}")?;
        }
        if let Some(replica) = self.replica {
            write!(f, ".{replica}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slot = if self.slot == Slot::B { "b" } else { "" };
        write!(f, "{}.{}.{}{slot}", self.service, self.process, self.replica)
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_slots_of_a_copy_have_names_of_their_own_and_are_one_choice() {
        let first = LogSource::new("api".parse().unwrap(), "web".parse().unwrap(), 12);
        let other = first.beside();
        assert_eq!(
            (first.to_string(), other.to_string()),
            ("api.web.12".into(), "api.web.12b".into())
        );
        assert_eq!(other.beside(), first);
        assert!(first.is_same_copy(&other) && first != other);
        for name in [&first, &other].map(ToString::to_string) {
            let selector: LogSelector = name.parse().unwrap();
            assert!(selector.matches(&first) && selector.matches(&other), "{name}");
        }
        assert!("api.web.b".parse::<LogSelector>().is_err());
        assert!("api.web.1bb".parse::<LogSelector>().is_err());
    }

    #[test]
    fn the_first_slot_is_not_written_and_a_line_without_one_is_of_it() {
        let first = LogSource::new("api".parse().unwrap(), "web".parse().unwrap(), 1);
        let text = serde_json::to_string(&first).unwrap();
        assert!(!text.contains("slot"), "{text}");
        assert_eq!(serde_json::from_str::<LogSource>(&text).unwrap(), first);
        let other = serde_json::to_string(&first.beside()).unwrap();
        assert!(other.contains(r#""slot":"b""#), "{other}");
        assert_eq!(serde_json::from_str::<LogSource>(&other).unwrap(), first.beside());
    }
}
