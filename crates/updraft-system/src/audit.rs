//! What an audit of a process cannot guess: `[check.SERVICE.PROCESS]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an audit of a process cannot guess.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// A request that takes a second or more, for a signal to come in its middle.
    pub slow: Option<Ask>,
    /// What a client does with it, step by step.
    pub journey: Vec<Step>,
    /// How long it may take to be ready.
    pub startup: Option<Duration>,
    /// Folders below its own that hold what may be lost.
    pub scratch: Vec<PathBuf>,
    /// Findings that are accepted for a time.
    pub waivers: Vec<Waiver>,
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Its body, JSON.
    pub json: Option<String>,
}

/// One step of a journey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is asked. `{name}` in its path and body is what an earlier step saved.
    pub ask: Ask,
    /// The status that must come. `None`: any below 400.
    pub expect: Option<u16>,
    /// What is kept of the answer, by name: JSON pointers (RFC 6901).
    pub save: BTreeMap<String, String>,
    /// What must stand in the answer, by JSON pointer.
    pub matches: BTreeMap<String, Value>,
}

/// A finding that is accepted for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// The probe's id, such as `IX.idle`.
    pub id: String,
    /// The reason.
    pub because: String,
    /// The last day it holds.
    pub until: Date,
}

/// A text is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request: write a method and a path, such as `GET /reports?rows=50000`")]
pub struct InvalidAsk;

impl FromStr for Ask {
    type Err = InvalidAsk;

    fn from_str(text: &str) -> Result<Self, InvalidAsk> {
        let (method, path) = text.split_once(' ').ok_or(InvalidAsk)?;
        let word = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        let path = path.trim();
        let sound = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        if !word || !sound {
            return Err(InvalidAsk);
        }
        Ok(Self { method: method.to_owned(), path: path.to_owned(), json: None })
    }
}
