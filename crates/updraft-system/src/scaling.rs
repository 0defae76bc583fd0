//! By which load the number of copies of a process follows, and what is told of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Name;

/// Between which bounds the number of copies of a process follows the load. Where several
/// loads are named, the one that asks for most copies wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleRule {
    /// Fewest copies; 0 only with a queue.
    pub min: u32,
    /// Most copies; at least `min`.
    pub max: u32,
    /// The processor time of one copy that is aimed at.
    pub cpu: Option<CpuTarget>,
    /// Requests in flight at one copy that are aimed at.
    pub concurrency: Option<u32>,
    /// The queue whose depth counts.
    pub queue: Option<QueueRule>,
    /// From one decision to the next.
    pub every: Duration,
    /// How long a wish must last before it is followed.
    pub stabilize: Stabilize,
    /// Most copies by which one decision changes the number.
    pub step: Steps,
}

/// The depth of a queue as a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRule {
    /// The resource of kind `queue`.
    pub queue: Name,
    /// Jobs that are due or under way for each copy.
    pub per: u32,
}

/// How long a wish must last before it is followed: of all wishes of that time, the most
/// cautious one counts (the stabilization window of Kubernetes' HorizontalPodAutoscaler).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stabilize {
    /// For more copies.
    pub up: Duration,
    /// For fewer copies.
    pub down: Duration,
}

/// Most copies by which one decision changes the number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// Started at once; `None`: as many as run already, and at least 4.
    pub up: Option<u32>,
    /// Ended at once; `None`: all that are too many.
    pub down: Option<u32>,
}

/// Processor time in a time: `70%` is seven tenths of one processor, `250%` two and a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CpuTarget(u32);

/// The text is no processor time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a part of a processor: write a whole percentage from 1% to 10000%")]
pub struct InvalidCpuTarget(String);

impl CpuTarget {
    const MOST: u32 = 10_000;

    /// Hundredths of one processor, from 1 to 10000.
    pub const fn percent(self) -> u32 {
        self.0
    }
}

impl FromStr for CpuTarget {
    type Err = InvalidCpuTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_suffix('%').filter(|it| it.bytes().all(|b| b.is_ascii_digit()));
        let percent = digits.and_then(|digits| digits.parse().ok());
        percent
            .filter(|percent| (1..=Self::MOST).contains(percent))
            .map(Self)
            .ok_or_else(|| InvalidCpuTarget(text.to_owned()))
    }
}

impl TryFrom<String> for CpuTarget {
    type Error = InvalidCpuTarget;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CpuTarget> for String {
    fn from(target: CpuTarget) -> Self {
        target.to_string()
    }
}

impl fmt::Display for CpuTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// How many copies of a process are wanted: the body of `PUT /v1/scale/{service}/{process}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ScaleRequest {
    /// So many, until its rule is put back or the system stops.
    Copies {
        /// Copies.
        replicas: u32,
    },
    /// As many as its rule says.
    ByRule {
        /// Always `true`.
        auto: Auto,
    },
}

/// `true`, where nothing else makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
pub struct Auto;

impl TryFrom<bool> for Auto {
    type Error = &'static str;

    fn try_from(auto: bool) -> Result<Self, Self::Error> {
        if auto { Ok(Self) } else { Err("`auto` can only be `true`") }
    }
}

impl From<Auto> for bool {
    fn from(_: Auto) -> Self {
        true
    }
}

/// How the number of copies of one process comes about: a row of `GET /v1/scaling`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingStatus {
    /// The service.
    pub service: Name,
    /// The process type.
    pub process: Name,
    /// Copies that there are.
    pub current: u32,
    /// Fewest copies; `null` without a rule.
    pub min: Option<u32>,
    /// Most copies; `null` without a rule.
    pub max: Option<u32>,
    /// What its rule asked for last, within its bounds and before windows and steps.
    pub wish: Option<u32>,
    /// The number that somebody set by hand, while it holds; then the rule only watches.
    pub held: Option<u32>,
    /// Each load of the rule as it was measured last.
    pub loads: Vec<LoadStatus>,
    /// When the rule was followed last.
    pub decided: Option<Timestamp>,
    /// The reason for the number, in words.
    pub why: String,
}

/// One load of a rule, as it was measured last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadStatus {
    /// `cpu`, `concurrency`, or `queue NAME`.
    pub load: String,
    /// What is aimed at for each copy, such as `70%` or `20`.
    pub target: String,
    /// All copies together, such as `312%`; `null`: it could not be measured.
    pub measured: Option<String>,
    /// Copies that could not be measured.
    pub unseen: u32,
    /// The copies that it asks for; `null`: none, for want of a measurement.
    pub wish: Option<u32>,
    /// Why it could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_processors_are_whole_percentages() {
        for (text, percent) in [("70%", Some(70)), ("250%", Some(250)), ("10000%", Some(10_000))]
            .into_iter()
            .chain(["0%", "70", "%", "-5%", "+5%", "7.5%", "10001%", ""].map(|text| (text, None)))
        {
            let read = text.parse::<CpuTarget>();
            assert_eq!(read.as_ref().ok().map(|it| it.percent()), percent, "{text}");
            if let Ok(target) = read {
                assert_eq!(target.to_string(), text);
            }
        }
    }

    #[test]
    fn a_wish_is_a_number_or_the_rule() {
        for (json, expected) in [
            (r#"{"replicas":3}"#, Some(ScaleRequest::Copies { replicas: 3 })),
            (r#"{"auto":true}"#, Some(ScaleRequest::ByRule { auto: Auto })),
            (r#"{"auto":false}"#, None),
            (r#"{}"#, None),
        ] {
            assert_eq!(serde_json::from_str(json).ok(), expected, "{json}");
            if let Some(request) = expected {
                assert_eq!(serde_json::to_string(&request).unwrap(), json);
            }
        }
    }
}
