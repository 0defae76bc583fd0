//! Configuration is the environment. All variables are read before anything is
//! connected, and every problem is in one report: nobody should learn of six wrong
//! variables in six restarts.

mod bounds;
mod declared;
mod environment;
mod example;
mod explain;
mod fingerprint;
mod near;
mod report;
mod secret;
mod shared;
mod slot;
mod value;

use std::ffi::OsString;

use crate::app::{App, Field, FieldSpec};
use crate::process::{Kind, Platform};

pub use bounds::{Bounded, Bounds, BoundsError};
pub(crate) use declared::{Declared, Group, Outcome};
pub use report::ConfigReport;
pub use secret::{Secret, SecretError};
pub(crate) use shared::REPLICAS;
pub use value::{ByteSize, Variable};

use environment::Environment;
use report::Problem;
use slot::{Slot, TypeFacts};

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
///
/// A variable that is there and empty counts as not set. Instead of `NAME` there may be
/// `NAME_FILE`, which names a file of at most 64 KiB with the text; one line feed at its end
/// is not part of the text.
#[derive(Debug)]
pub struct Config {
    environment: Environment,
    /// The field of an `App` that is being read; without one it is the chassis that reads.
    field: Option<(Group, FieldSpec)>,
    declared: Vec<Declared>,
    problems: Vec<Problem>,
    /// Variables by which a platform tells replicas of one release apart.
    per_process: Vec<&'static str>,
}

/// A variable is missing or malformed; the [`Config`] has it in its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not valid")]
pub struct Invalid(());

/// What holds when a variable is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Otherwise {
    /// The process cannot run.
    Required,
    /// What is there before, if anything is.
    Kept,
    /// A text that is read as if it were set.
    Text(&'static str),
}

impl Config {
    /// The environment of this process.
    pub(crate) fn from_env() -> Self {
        Self::from_os_variables(std::env::vars_os())
    }

    /// A configuration of these variables, for tests of a service's own settings.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let os = |(name, value): (String, String)| (name.into(), value.into());
        Self::from_os_variables(variables.into_iter().map(os))
    }

    /// A configuration of these variables, which need not be Unicode.
    pub fn from_os_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self {
            environment: Environment::new(variables),
            field: None,
            declared: Vec::new(),
            problems: Vec::new(),
            per_process: Vec::new(),
        }
    }

    /// Whether the declarations of `A` are sound: each default can be read and is within its
    /// own bounds, and no variable is one of the chassis. For a test of each service; a
    /// process that starts finds the same.
    ///
    /// ```
    /// use updraft::{App, Config};
    ///
    /// /// What the greeter reads from its environment.
    /// #[derive(App)]
    /// struct Greeter {
    ///     /// How often visitors are greeted
    ///     #[env(default = 3, range = 1..=10)]
    ///     times: u16, // TIMES
    /// }
    ///
    /// Config::declarations_of::<Greeter>()?;
    /// # Ok::<(), updraft::ConfigReport>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Every declaration that is not.
    pub fn declarations_of<A: App>() -> Result<(), ConfigReport> {
        let mut config = Self::from_variables([]);
        // What is required is missing here, which is no fault of its declaration.
        let _platform = Platform::read(&mut config, Kind::Web);
        let _parsed = A::read(&mut config);
        config.problems.retain(|problem| problem.is_of_declaration);
        config.report().map_or(Ok(()), Err)
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
        // Without one it has been reported.
        self.read(variable, about, Otherwise::Required, None)?.ok_or(Invalid(()))
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
        self.read(variable, about, Otherwise::Kept, None)
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
        self.read(variable, about, Otherwise::Kept, Some(default))?.ok_or(Invalid(()))
    }

    /// The variable of a field of an `App`.
    pub(crate) fn field<T: Variable>(
        &mut self,
        variable: &'static str,
        spec: &FieldSpec,
    ) -> Result<T, Invalid> {
        match spec.default {
            Some(default) => {
                let otherwise = Otherwise::Text(default);
                self.read(variable, spec.about, otherwise, None)?.ok_or(Invalid(()))
            }
            None => self.require(variable, spec.about),
        }
    }

    /// Reads a field of an [`App`]: what `#[derive(App)]` calls for each.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; the report says what is wrong.
    pub fn app_field<F: Field>(&mut self, spec: &FieldSpec) -> Result<F::Parsed, Invalid> {
        let group = if F::ATTACHED { Group::Attachment } else { Group::Service };
        let before = self.field.replace((group, *spec));
        let parsed = F::read(self, spec);
        self.field = before;
        parsed
    }

    /// Reads variables that belong to no one field, such as those of a provider: any number of
    /// fields may need them.
    #[cfg(feature = "s3")]
    pub(crate) fn beside_fields<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.field.take();
        let result = read(self);
        self.field = before;
        result
    }

    /// Names variables by which a platform tells replicas of one release apart, such as
    /// `PORT`: they are no part of the release.
    pub(crate) fn per_process(&mut self, variables: &'static [&'static str]) {
        self.per_process.extend(variables);
    }

    /// What follows `prefix` in the names of variables that are set.
    pub(crate) fn names_below(&self, prefix: &str) -> Vec<String> {
        let below = |name: &str| name.strip_prefix(prefix).map(str::to_owned);
        self.environment.names().filter_map(below).collect()
    }

    pub(crate) fn declared(&self) -> &[Declared] {
        &self.declared
    }

    /// The report of all problems; `None` when there are none.
    pub fn report(&self) -> Option<ConfigReport> {
        (!self.problems.is_empty())
            .then(|| ConfigReport::new(self.problems.clone(), self.near_misses()))
    }

    /// Reads one variable, and declares it.
    fn read<T: Variable>(
        &mut self,
        variable: &'static str,
        about: &'static str,
        otherwise: Otherwise,
        mut value: Option<T>,
    ) -> Result<Option<T>, Invalid> {
        let of_type = TypeFacts::of::<T>();
        let declared = Declared::of(&of_type, variable, about, self.field.as_ref());
        self.read_into(declared, otherwise, &mut value)?;
        Ok(value)
    }

    fn read_into(
        &mut self,
        mut declared: Declared,
        otherwise: Otherwise,
        value: &mut dyn Slot,
    ) -> Result<(), Invalid> {
        let unsound = self.unsound(&declared, otherwise, value);
        declared.required = otherwise == Otherwise::Required;
        declared.default = declared.shown(value);
        let found = self
            .environment
            .find(declared.variable, |file| self.declared.iter().any(|it| it.variable == file));
        let problem = match (declared.take(found, otherwise, value), unsound) {
            (Err(problem), _) => problem,
            (Ok(()), Some(wrong)) => Problem { is_of_declaration: true, ..declared.problem(wrong) },
            (Ok(()), None) => {
                self.conclude(declared, None);
                return Ok(());
            }
        };
        declared.outcome = Outcome::Wrong;
        Err(self.conclude(declared, Some(problem)))
    }

    /// What is wrong with the declaration itself, whatever the environment says. A text that
    /// stands for the value is read.
    fn unsound(
        &self,
        declared: &Declared,
        otherwise: Otherwise,
        value: &mut dyn Slot,
    ) -> Option<String> {
        let default = match otherwise {
            Otherwise::Text(default) => Some((default, value.parse(default))),
            _ => None,
        };
        let reads_it_too = |other: &&Declared| {
            other.variable == declared.variable
                && (other.group, other.field) != (declared.group, declared.field)
        };
        if self.declared.iter().any(|other| reads_it_too(&other)) {
            let who = match declared.group {
                Group::Chassis => "a field of the App",
                Group::Service | Group::Attachment => "the chassis or another field",
            };
            return Some(format!("is read by {who} too: give the field another `name`"));
        }
        if let Err(wrong) = declared.bounds.map_or(Ok(()), |bounds| bounds.sound()) {
            return Some(wrong.to_owned());
        }
        let (default, parsed) = default?;
        let read = declared.admit(default).and(parsed);
        read.err().map(|wrong| format!("has a default that {wrong}"))
    }

    /// Records what is wrong with a variable beyond what its own text can show.
    pub(crate) fn problem<T: Variable>(
        &mut self,
        variable: &'static str,
        about: &'static str,
        wrong: String,
    ) -> Invalid {
        let of_type = TypeFacts::of::<T>();
        let declared = Declared::of(&of_type, variable, about, self.field.as_ref());
        let problem = declared.problem(wrong);
        for declared in self.declared.iter_mut().filter(|it| it.variable == variable) {
            declared.outcome = Outcome::Wrong;
        }
        self.conclude(declared, Some(problem))
    }

    /// Takes a declaration in, and the one problem with it.
    fn conclude(&mut self, declared: Declared, problem: Option<Problem>) -> Invalid {
        if let Some(problem) = problem
            && self.problems.iter().all(|other| other.variable != problem.variable)
        {
            self.problems.push(problem);
        }
        if self.declared.iter().all(|other| other.variable != declared.variable) {
            self.declared.push(declared);
        }
        Invalid(())
    }
}

/// What is shown instead of a secret.
pub(crate) const SECRET: &str = "[secret]";

#[cfg(test)]
#[path = "config_laws.rs"]
mod laws;
#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
