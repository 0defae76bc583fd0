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
    /// One copy; `None`: all.
    pub replica: Option<u32>,
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
        let replica = parts.next().map(str::parse::<u32>).transpose();
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
        write!(f, "{}.{}.{}", self.service, self.process, self.replica)
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}
