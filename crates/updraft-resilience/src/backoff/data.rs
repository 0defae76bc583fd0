//! A backoff as data: the form in files and variables, apart from the one that is computed
//! with, because a function has no place in it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{Backoff, Growth, Jitter, MAX};

/// One of the forms of growth, the shortest wait and the jitter.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename = "Backoff")]
struct Data {
    #[serde(skip_serializing_if = "Option::is_none")]
    constant: Option<Constant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linear: Option<Linear>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exponential: Option<Exponential>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fibonacci: Option<Fibonacci>,
    #[serde(skip_serializing)]
    function: Option<de::IgnoredAny>,
    #[serde(with = "humantime_serde", skip_serializing_if = "Duration::is_zero")]
    min: Duration,
    jitter: Option<Jitter>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constant {
    #[serde(with = "humantime_serde")]
    wait: Duration,
    #[serde(default = "longest", with = "humantime_serde")]
    max: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Linear {
    #[serde(with = "humantime_serde")]
    first: Duration,
    #[serde(with = "humantime_serde")]
    step: Duration,
    #[serde(default = "longest", with = "humantime_serde")]
    max: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Exponential {
    #[serde(with = "humantime_serde")]
    first: Duration,
    factor: f64,
    #[serde(with = "humantime_serde")]
    max: Duration,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fibonacci {
    #[serde(with = "humantime_serde")]
    unit: Duration,
    #[serde(default = "longest", with = "humantime_serde")]
    max: Duration,
}

fn longest() -> Duration {
    MAX
}

/// What the default backoff has.
impl Default for Exponential {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), factor: 2.0, max: Duration::from_secs(10) }
    }
}

impl Serialize for Backoff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let max = self.max;
        let mut data = Data { jitter: Some(self.jitter), min: self.min, ..Data::default() };
        match self.growth {
            Growth::Constant(wait) => data.constant = Some(Constant { wait, max }),
            Growth::Linear { first, step } => data.linear = Some(Linear { first, step, max }),
            Growth::Exponential { first, factor } => {
                data.exponential = Some(Exponential { first, factor, max });
            }
            Growth::Fibonacci(unit) => data.fibonacci = Some(Fibonacci { unit, max }),
            Growth::Function(_) => return Err(ser::Error::custom(NO_FUNCTIONS)),
        }
        data.serialize(serializer)
    }
}

const NO_FUNCTIONS: &str = "a backoff that is a function cannot be written as data";

impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Data { constant, linear, exponential, fibonacci, function, min, jitter } =
            Data::deserialize(deserializer)?;
        if function.is_some() {
            return Err(de::Error::custom(NO_FUNCTIONS));
        }
        let backoff = match (constant, linear, exponential, fibonacci) {
            (None, None, None, None) => Self::default(),
            (Some(Constant { wait, max }), None, None, None) => Self::constant(wait).max(max),
            (None, Some(Linear { first, step, max }), None, None) => {
                Self::linear(first, step).max(max)
            }
            (None, None, Some(Exponential { first, factor, max }), None) => {
                Self::exponential(first, max).factor(factor)
            }
            (None, None, None, Some(Fibonacci { unit, max })) => Self::fibonacci(unit).max(max),
            _ => {
                return Err(de::Error::custom(
                    "a backoff is one of `constant`, `linear`, `exponential` and `fibonacci`",
                ));
            }
        };
        Ok(Self { min, jitter: jitter.unwrap_or(backoff.jitter), ..backoff })
    }
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
