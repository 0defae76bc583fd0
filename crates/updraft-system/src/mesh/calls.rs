//! How one service calls another: `[service.X.calls.Y]`. Every default is sane alone.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The policy of one edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// The longest until the head of the response, with all attempts and their waits; passed
    /// on as a deadline. 15 s.
    #[serde(with = "super::span")]
    pub timeout: Duration,
    /// The longest that one attempt may take until the head of the response. None.
    #[serde(skip_serializing_if = "Option::is_none", with = "super::span::optional")]
    pub attempt_timeout: Option<Duration>,
    /// The longest without a byte in either direction of a body, a tunnel or an upgraded
    /// connection. 5 min for HTTP; tunnels of resources have [`Limits`](super::Limits).
    #[serde(with = "super::span")]
    pub idle: Duration,
    /// What is tried again.
    pub retry: RetryPolicy,
    /// When an endpoint is left alone.
    pub breaker: BreakerPolicy,
    /// Requests in flight at once. 1024.
    pub concurrency: u32,
    /// Requests that wait for a place. 256.
    pub queue: u32,
    /// Requests in a time. None.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Which endpoint is chosen.
    pub balance: Balance,
    /// What is spoken between two gateways.
    pub hop: Hop,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            attempt_timeout: None,
            idle: Duration::from_secs(300),
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            concurrency: 1024,
            queue: 256,
            rate: None,
            balance: Balance::default(),
            hop: Hop::default(),
        }
    }
}

/// What is tried again, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// Which failures. Connect, reset, 503 and gRPC's `UNAVAILABLE`.
    pub on: BTreeSet<RetryOn>,
    /// Attempts in all. 3.
    pub attempts: u32,
    /// How many retries there may be beside the first attempts. 20 % and 3 a second.
    pub budget: RetryBudget,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        use RetryOn::{Connect, GrpcUnavailable, Reset, Status};
        Self {
            on: [Connect, Reset, Status(503), GrpcUnavailable].into(),
            attempts: 3,
            budget: RetryBudget::default(),
        }
    }
}

/// A failure that may be tried again. All but [`Connect`](Self::Connect), which is provably
/// unsent, are tried again for idempotent operations only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RetryOn {
    /// Nothing of the request was sent: no connection, or a refused stream.
    Connect,
    /// The connection broke before the head of the response.
    Reset,
    /// The attempt took longer than `attempt_timeout`.
    Timeout,
    /// gRPC's `UNAVAILABLE`.
    GrpcUnavailable,
    /// A status of 500 to 599, or 429.
    Status(u16),
}

/// The budget of retries: a share of the first attempts, and so many a second in any case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RetryBudget {
    /// Retries per first attempt.
    pub share: Share,
    /// Retries a second that are allowed in any case.
    pub floor: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { share: Share::percent(20), floor: 3 }
    }
}

/// When an endpoint is left alone for a while: the circuit breaker of each endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerPolicy {
    /// After so many failures in a row. 5.
    pub consecutive: u32,
    /// When so many of the last calls failed. 50 %.
    pub failures: Share,
    /// The first wait; it doubles with each opening, up to one minute. 5 s.
    #[serde(with = "super::span")]
    pub open_for: Duration,
    /// Of several endpoints at most this share is left alone at once, unless all have
    /// failed: then the circuit of the whole edge is open. 50 %.
    pub at_most: Share,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            consecutive: 5,
            failures: Share::percent(50),
            open_for: Duration::from_secs(5),
            at_most: Share::percent(50),
        }
    }
}

/// Which endpoint a request goes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Balance {
    /// The better of two by chance: requests in flight and latency as a peak-sensitive moving
    /// average decide.
    #[default]
    LeastRequest,
    /// One after another.
    RoundRobin,
    /// Requests of one key go to one endpoint, as long as it is there.
    Hash(HashBy),
}

/// Where the key of consistent hashing is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HashBy {
    /// A header.
    Header(String),
    /// A cookie.
    Cookie(String),
}

/// What two gateways speak with each other, inside TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hop {
    /// HTTP/1.1.
    H1,
    /// HTTP/2: fewer records and system calls under load.
    #[default]
    H2,
}

/// A part of a whole, `0%` to `100%`, in steps of a hundredth of a percent.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Share(u32);

impl Share {
    /// The whole, in the units of [`parts`](Self::parts).
    pub const WHOLE: u32 = 10_000;

    /// So many percent, at most 100.
    pub const fn percent(percent: u32) -> Self {
        Self(if percent > 100 { Self::WHOLE } else { percent * 100 })
    }

    /// Hundredths of a percent, 0 to 10,000.
    pub const fn parts(self) -> u32 {
        self.0
    }

    /// 0 to 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }
}

/// So many in a time, such as `100/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In which time: a second, a minute or an hour.
    pub per: Duration,
}

/// The text is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a share: write a percentage from 0% to 100%, such as 5% or 0.5%")]
pub struct InvalidShare(pub String);

/// The text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate: write a number per `s`, `m` or `h`, such as 100/s")]
pub struct InvalidRate(pub String);

/// The text is no budget of retries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a budget of retries: write a share and a floor, such as 20%+3/s")]
pub struct InvalidBudget(pub String);

/// Digits alone: the parser of the standard library takes a sign as well.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidShare(text.to_owned());
        let number = text.strip_suffix('%').ok_or_else(invalid)?;
        let (whole, hundredths) = number.split_once('.').unwrap_or((number, "0"));
        if !is_number(whole) || !is_number(hundredths) || hundredths.len() > 2 {
            return Err(invalid());
        }
        let whole: u32 = whole.parse().ok().ok_or_else(invalid)?;
        let fraction: u32 = format!("{hundredths:0<2}").parse().ok().ok_or_else(invalid)?;
        let parts = whole.checked_mul(100).and_then(|whole| whole.checked_add(fraction));
        parts.filter(|parts| *parts <= Self::WHOLE).map(Self).ok_or_else(invalid)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidRate(text.to_owned());
        let (count, unit) = text.split_once('/').ok_or_else(invalid)?;
        if !is_number(count) {
            return Err(invalid());
        }
        let count: u32 = count.parse().ok().ok_or_else(invalid)?;
        let per = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(invalid()),
        };
        if count == 0 {
            return Err(invalid());
        }
        Ok(Self { count, per: Duration::from_secs(per) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl FromStr for RetryBudget {
    type Err = InvalidBudget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidBudget(text.to_owned());
        let (share, floor) = text.split_once('+').unwrap_or((text, "0/s"));
        let share = share.parse().ok().ok_or_else(invalid)?;
        let floor = floor.strip_suffix("/s").filter(|it| is_number(it)).ok_or_else(invalid)?;
        Ok(Self { share, floor: floor.parse().ok().ok_or_else(invalid)? })
    }
}

impl fmt::Display for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}/s", self.share, self.floor)
    }
}

impl FromStr for RetryOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "connect" => Ok(Self::Connect),
            "reset" => Ok(Self::Reset),
            "timeout" => Ok(Self::Timeout),
            "grpc-unavailable" => Ok(Self::GrpcUnavailable),
            _ => match text.parse() {
                Ok(status @ (429 | 500..=599)) if text.len() == 3 => Ok(Self::Status(status)),
                _ => Err(format!(
                    "`{text}` is nothing that can be tried again: write connect, reset, timeout, \
                     grpc-unavailable, 429, or a status from 500 to 599"
                )),
            },
        }
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::GrpcUnavailable => f.write_str("grpc-unavailable"),
            Self::Status(status) => write!(f, "{status}"),
        }
    }
}

impl FromStr for Balance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.split_once(':')) {
            ("least-request", _) => Ok(Self::LeastRequest),
            ("round-robin", _) => Ok(Self::RoundRobin),
            (_, Some(_)) => text.parse().map(Self::Hash),
            _ => Err(format!(
                "`{text}` is no way of balancing: write least-request, round-robin, header:NAME \
                 or cookie:NAME"
            )),
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeastRequest => f.write_str("least-request"),
            Self::RoundRobin => f.write_str("round-robin"),
            Self::Hash(by) => by.fmt(f),
        }
    }
}

impl FromStr for HashBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let token = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        match text.split_once(':') {
            Some(("header", name)) if token(name) => Ok(Self::Header(name.to_ascii_lowercase())),
            Some(("cookie", name)) if token(name) => Ok(Self::Cookie(name.to_owned())),
            _ => Err(format!("`{text}` is no key: write header:NAME or cookie:NAME")),
        }
    }
}

impl fmt::Display for HashBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

macro_rules! as_text {
    ($($name:ty: $error:ty),* $(,)?) => {$(
        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text! {
    Share: InvalidShare,
    Rate: InvalidRate,
    RetryBudget: InvalidBudget,
    RetryOn: String,
    Balance: String,
    HashBy: String,
}

impl serde::Serialize for HashBy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HashBy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
