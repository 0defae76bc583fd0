//! Configuration is the environment. All variables are read before anything is
//! connected, and every problem is in one report: nobody should learn of six wrong
//! variables in six restarts.

mod value;

use std::collections::BTreeMap;
use std::fmt;

pub use value::{Level, Variable};

/// Reads variables, and remembers each that is wrong.
///
/// Every reading method gives a `Result` whose error says only that the problem was
/// recorded. Read all variables first and use `?` afterwards, so that one report can
/// name them all:
///
/// ```
/// use std::time::Duration;
/// use updraft::{Config, Invalid, ServiceUrl};
///
/// struct Settings {
///     pricing: ServiceUrl,
///     patience: Duration,
/// }
///
/// fn settings(config: &mut Config) -> Result<Settings, Invalid> {
///     let pricing = config.require("PRICING_URL", "where prices come from");
///     let patience =
///         config.or("PATIENCE", Duration::from_millis(500), "how long prices may take");
///     Ok(Settings { pricing: pricing?, patience: patience? })
/// }
/// ```
#[derive(Debug)]
pub struct Config {
    environment: BTreeMap<String, String>,
    declared: Vec<Declared>,
    problems: Vec<ConfigProblem>,
}

/// A variable is missing or malformed; the [`Config`] has it in its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not valid")]
pub struct Invalid(());

/// A variable that the process reads, for its help text.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) variable: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) default: Option<String>,
    pub(crate) about: &'static str,
    pub(crate) required: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ConfigProblem {
    variable: &'static str,
    wrong: String,
    expected: &'static str,
    about: &'static str,
}

impl Config {
    /// The environment of this process. Variables that are not Unicode count as missing.
    pub(crate) fn from_env() -> Self {
        Self::from_variables(std::env::vars_os().filter_map(|(variable, value)| {
            Some((variable.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// A configuration of these variables, for tests of a service's own settings.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        // `PORT=` in a shell means "not set" to most people.
        let environment = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Self { environment, declared: Vec::new(), problems: Vec::new() }
    }

    /// A variable without which the process cannot run.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is missing or malformed.
    pub fn require<T: Variable>(
        &mut self,
        variable: &'static str,
        about: &'static str,
    ) -> Result<T, Invalid> {
        self.declare::<T>(variable, about, None, true);
        match self.read(variable, about)? {
            Some(value) => Ok(value),
            None => Err(self.problem::<T>(variable, about, "is not set".to_owned())),
        }
    }

    /// A variable that may be missing.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is there and malformed.
    pub fn optional<T: Variable>(
        &mut self,
        variable: &'static str,
        about: &'static str,
    ) -> Result<Option<T>, Invalid> {
        self.declare::<T>(variable, about, None, false);
        self.read(variable, about)
    }

    /// A variable with a default.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is there and malformed.
    pub fn or<T: Variable>(
        &mut self,
        variable: &'static str,
        default: T,
        about: &'static str,
    ) -> Result<T, Invalid> {
        self.declare::<T>(variable, about, Some(default.show()), false);
        Ok(self.read(variable, about)?.unwrap_or(default))
    }

    pub(crate) fn declared(&self) -> &[Declared] {
        &self.declared
    }

    /// The report of all problems; `None` when there are none.
    pub fn report(&self) -> Option<ConfigReport> {
        let problems = self.problems.clone();
        (!problems.is_empty()).then_some(ConfigReport { problems })
    }

    fn read<T: Variable>(
        &mut self,
        variable: &'static str,
        about: &'static str,
    ) -> Result<Option<T>, Invalid> {
        let Some(text) = self.environment.get(variable) else { return Ok(None) };
        match T::parse(text) {
            Ok(value) => Ok(Some(value)),
            Err(wrong) => Err(self.problem::<T>(variable, about, wrong)),
        }
    }

    fn declare<T: Variable>(
        &mut self,
        variable: &'static str,
        about: &'static str,
        default: Option<String>,
        required: bool,
    ) {
        self.declared.push(Declared { variable, expected: T::EXPECTED, default, about, required });
    }

    fn problem<T: Variable>(
        &mut self,
        variable: &'static str,
        about: &'static str,
        wrong: String,
    ) -> Invalid {
        self.problems.push(ConfigProblem { variable, wrong, expected: T::EXPECTED, about });
        Invalid(())
    }
}

/// Every variable that is wrong, why, and what it should be. Never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigReport {
    problems: Vec<ConfigProblem>,
}

impl fmt::Display for ConfigReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "variable is" } else { "variables are" };
        write!(f, "{count} environment {noun} wrong")?;
        for problem in &self.problems {
            let ConfigProblem { variable, wrong, expected, about } = problem;
            write!(f, "\n\n  {variable} {wrong}\n    it is {about}\n    set it to {expected}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(variables: &[(&str, &str)]) -> Config {
        Config::from_variables(
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn a_default_holds_when_the_variable_is_missing_or_empty() {
        for variables in [&[][..], &[("SPAN", "")][..]] {
            let span = config(variables).or("SPAN", Duration::from_secs(5), "a span");
            assert_eq!(span, Ok(Duration::from_secs(5)));
        }
    }

    #[test]
    fn a_malformed_optional_variable_is_not_taken_for_a_missing_one() {
        let mut config = config(&[("COUNT", "many")]);
        assert!(config.optional::<u16>("COUNT", "a count").is_err());
        assert!(config.report().is_some());
    }

    #[test]
    fn a_report_names_every_problem_and_no_value() {
        let mut config = config(&[
            ("COUNT", "canary-1"),
            ("SPAN", "canary-2"),
            ("DB_URL", "postgres://user:canary-3@host/db?password=canary-4"),
            ("PEER_URL", "http://user:canary-5@host"),
        ]);
        config.require::<u16>("COUNT", "a count").unwrap_err();
        config.or("SPAN", Duration::ZERO, "a span").unwrap_err();
        config.require::<crate::SqlUrl>("DB_URL", "the database").unwrap_err();
        config.require::<crate::ServiceUrl>("PEER_URL", "a peer").unwrap_err();
        config.require::<String>("MISSING", "a text").unwrap_err();
        let report = config.report().unwrap().to_string();
        for variable in ["COUNT", "SPAN", "DB_URL", "PEER_URL", "MISSING"] {
            assert!(report.contains(variable), "{report}");
        }
        assert!(!report.contains("canary"), "{report}");
    }
}
