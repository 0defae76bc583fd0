//! The typed contract of a service's configuration, and values held against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One variable of a service's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigKey {
    /// What a value must look like.
    pub shape: ConfigType,
    /// The value where none is given; `None`: the variable is required.
    pub default: Option<String>,
}

/// What a value must look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ConfigType {
    /// Any text.
    String,
    /// Any text, shown nowhere.
    Secret,
    /// An absolute URL.
    Url,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int {
        /// Least value.
        min: Option<i64>,
        /// Greatest value.
        max: Option<i64>,
    },
    /// A number.
    Float {
        /// Least value.
        min: Option<f64>,
        /// Greatest value.
        max: Option<f64>,
    },
    /// A time span such as `250ms`, `45s`, `20m`.
    Duration,
    /// One of a list.
    OneOf {
        /// The list.
        values: Vec<String>,
    },
}

/// Why a value, or its absence, breaks the contract. Never holds a secret's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigProblem {
    /// The variable.
    pub variable: String,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
}

impl ConfigKey {
    /// Holds `contract` against the values given, and fills in defaults.
    ///
    /// # Errors
    ///
    /// All variables that are missing or malformed, in order of their names.
    pub fn resolve(
        contract: &BTreeMap<String, Self>,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Vec<ConfigProblem>> {
        let mut values = BTreeMap::new();
        let mut problems = Vec::new();
        for (variable, key) in contract {
            let Some(value) = given.get(variable).or(key.default.as_ref()) else {
                let message = format!("is required: {}", key.shape.describe());
                problems.push(ConfigProblem { variable: variable.clone(), message });
                continue;
            };
            match key.shape.check(value) {
                Ok(()) => drop(values.insert(variable.clone(), value.clone())),
                Err(message) => {
                    problems.push(ConfigProblem { variable: variable.clone(), message });
                }
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(problems) }
    }
}

impl ConfigType {
    /// Whether values of this type must be shown nowhere.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret)
    }

    /// What a value must look like, in words.
    pub fn describe(&self) -> String {
        match self {
            Self::String => "any text".to_owned(),
            Self::Secret => "a secret".to_owned(),
            Self::Url => "an absolute URL such as https://example.com/".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Int { min, max } => format!("a whole number{}", bounds(min, max)),
            Self::Float { min, max } => format!("a number{}", bounds(min, max)),
            Self::Duration => "a time span such as 250ms, 45s or 20m".to_owned(),
            Self::OneOf { values } => format!("one of {}", values.join(", ")),
        }
    }

    /// Whether `value` has this type; the error never repeats the value of a secret.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let sound = match self {
            Self::String => true,
            Self::Secret => !value.is_empty(),
            Self::Url => url::Url::parse(value).is_ok(),
            Self::Bool => matches!(value, "true" | "false"),
            Self::Int { min, max } => value.parse().is_ok_and(|n: i64| within(&n, min, max)),
            Self::Float { min, max } => value.parse().is_ok_and(|n: f64| within(&n, min, max)),
            Self::Duration => crate::duration::parse(value).is_ok(),
            Self::OneOf { values } => values.iter().any(|one| one == value),
        };
        match (sound, self) {
            (true, _) => Ok(()),
            (false, Self::Secret) => Err("is empty; it must be a secret".to_owned()),
            // A URL may carry a password, so it is not repeated either.
            (false, Self::Url) => Err(format!("is not {}", self.describe())),
            (false, _) => Err(format!("is `{value}`; it must be {}", self.describe())),
        }
    }
}

fn within<T: PartialOrd>(value: &T, min: &Option<T>, max: &Option<T>) -> bool {
    min.as_ref().is_none_or(|min| min <= value) && max.as_ref().is_none_or(|max| value <= max)
}

fn bounds<T: std::fmt::Display>(min: &Option<T>, max: &Option<T>) -> String {
    match (min, max) {
        (None, None) => String::new(),
        (Some(min), None) => format!(", at least {min}"),
        (None, Some(max)) => format!(", at most {max}"),
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
    }
}
