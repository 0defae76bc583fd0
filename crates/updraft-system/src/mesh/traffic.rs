//! Traffic control: where requests to a service go, and what is done to them on the way.
//! `[service.X.traffic]`, and its run-time twin `updraft mesh`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HashBy, PathTemplate, Share};
use crate::Name;

/// What holds for the traffic to one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Traffic {
    /// How requests that no rule routes are spread over versions. All endpoints alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Rules, in order. Faults and mirrors of all that match are done; of those that route,
    /// rewrite or redirect, the first.
    pub rules: Vec<TrafficRule>,
}

/// A split by weight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The weight of each version; one that is not named gets nothing.
    pub weights: BTreeMap<Name, u32>,
    /// Requests of one key stay with one version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<HashBy>,
}

/// One rule: what it is for and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficRule {
    /// What it is called in metrics and in `updraft mesh`.
    pub name: Name,
    /// Which requests; all when empty.
    #[serde(default, rename = "match")]
    pub matches: Matches,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
}

/// Which requests a rule is for: those that fit every condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matches {
    /// One of these methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// This path.
    #[serde(skip_serializing_if = "Option::is_none", with = "path")]
    pub path: Option<PathTemplate>,
    /// Each of these headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// One of these callers; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<Name>,
}

/// A condition on a header: `name` (it is there) or `name=value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct HeaderMatch {
    /// The name, in small letters.
    pub name: String,
    /// The value; `None`: any.
    pub value: Option<String>,
}

impl From<String> for HeaderMatch {
    fn from(text: String) -> Self {
        match text.split_once('=') {
            Some((name, value)) => Self {
                name: name.trim().to_ascii_lowercase(),
                value: Some(value.trim().to_owned()),
            },
            None => Self { name: text.trim().to_ascii_lowercase(), value: None },
        }
    }
}

impl From<HeaderMatch> for String {
    fn from(header: HeaderMatch) -> Self {
        match header.value {
            Some(value) => format!("{}={value}", header.name),
            None => header.name,
        }
    }
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    /// Only to endpoints of this version.
    Route(Name),
    /// Answered with a redirect.
    Redirect(Redirect),
    /// Sent on with another path.
    Rewrite(Rewrite),
    /// A copy of the request goes to another version; its response is thrown away.
    Mirror(Mirror),
    /// A fault on purpose: wait.
    Delay {
        /// How long.
        #[serde(with = "super::span")]
        by: Duration,
        /// Of how many requests. 100 %.
        #[serde(default = "whole")]
        share: Share,
    },
    /// A fault on purpose: an answer without the service.
    Abort {
        /// The status, 200 to 599.
        status: u16,
        /// Of how many requests. 100 %.
        #[serde(default = "whole")]
        share: Share,
    },
}

/// A redirect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// The new location: a path, or an absolute `http(s)` address.
    pub to: String,
    /// 301, 302, 303, 307 or 308. 307.
    #[serde(default = "temporary")]
    pub status: u16,
}

impl Redirect {
    /// The statuses that a redirect can have (RFC 9110, 15.4).
    pub const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];
}

/// Another path: the prefix `from` becomes `to`. The query stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// The prefix of whole segments that goes.
    pub from: String,
    /// What stands there instead.
    pub to: String,
}

/// A mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The version that gets the copies.
    pub to: Name,
    /// Of how many requests. 100 %.
    #[serde(default = "whole")]
    pub share: Share,
}

fn whole() -> Share {
    Share::percent(100)
}

fn temporary() -> u16 {
    307
}

mod path {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::mesh::PathTemplate;

    #[expect(clippy::ref_option, reason = "serde asks for this shape")]
    pub(super) fn serialize<S: Serializer>(
        path: &Option<PathTemplate>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match path {
            Some(path) => serializer.serialize_str(path.as_str()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathTemplate>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}
