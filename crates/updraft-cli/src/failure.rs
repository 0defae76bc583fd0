//! Why a verb did not do what was asked: the class is the exit code, the text goes to stderr.

use std::error::Error;
use std::process::ExitCode;

use crate::log_view::PrintError;
use updraft_engine::{ErrorClass, MemoryError, StartError, StateDirError};
use updraft_system::ControlProblem;

use crate::control::{BindError, ControlError};
use crate::problems::ManifestProblems;
use crate::verb::gateway::ConfigProblems;

/// What a verb gives back to `main`.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// A class of failures, which is an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Something is wrong with what was looked at or started.
    Finding = 1,
    /// The command line or the manifest is wrong.
    Usage = 2,
    /// The environment lacks something.
    Environment = 4,
}

/// Why a verb did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One thing is wrong.
    Said(Said),
    /// The manifest is wrong.
    Manifest(ManifestProblems),
    /// The configuration of a gateway is wrong.
    Config(ConfigProblems),
    /// Whoever reads the output went away: nothing to say, and nobody to say it to.
    ReaderGone,
}

/// One thing that is wrong.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) class: Class,
    pub(crate) message: String,
    /// What lies beneath, from near to far.
    pub(crate) causes: Vec<String>,
    pub(crate) help: Option<String>,
}

impl Class {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The class that an exit code from the control API stands for.
    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            2 => Self::Usage,
            4 => Self::Environment,
            _ => Self::Finding,
        }
    }
}

impl Failure {
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self::Said(Said { class, message: message.into(), causes: Vec::new(), help: None })
    }

    pub(crate) fn finding(message: impl Into<String>) -> Self {
        Self::new(Class::Finding, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Class::Usage, message)
    }

    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self::new(Class::Environment, message)
    }

    /// `error` and all its sources become the causes.
    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        if let Self::Said(said) = &mut self {
            let chain = std::iter::successors(Some(error), |&error| error.source());
            said.causes.extend(chain.map(ToString::to_string));
        }
        self
    }

    /// What lies beneath, in words.
    pub(crate) fn caused_by(mut self, causes: impl IntoIterator<Item = String>) -> Self {
        if let Self::Said(said) = &mut self {
            said.causes.extend(causes);
        }
        self
    }

    /// What to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        if let Self::Said(said) = &mut self {
            said.help = Some(help.into());
        }
        self
    }

    /// `error` is the message, its sources are the causes.
    pub(crate) fn from_error(class: Class, error: &(dyn Error + 'static)) -> Self {
        let failure = Self::new(class, error.to_string());
        match error.source() {
            Some(source) => failure.because(source),
            None => failure,
        }
    }

    pub(crate) fn exit(&self) -> ExitCode {
        match self {
            Self::Said(said) => said.class.code().into(),
            Self::Manifest(_) | Self::Config(_) => Class::Usage.code().into(),
            Self::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

impl From<PrintError> for Failure {
    fn from(error: PrintError) -> Self {
        Self::from_error(Class::Environment, &error)
    }
}

impl From<ErrorClass> for Class {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Finding => Self::Finding,
            ErrorClass::Usage => Self::Usage,
            ErrorClass::Environment => Self::Environment,
        }
    }
}

impl From<StateDirError> for Failure {
    fn from(error: StateDirError) -> Self {
        Self::from_error(Class::Environment, &error)
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        Self::from_error(Class::Environment, &error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        // It tells one reason in each line.
        let causes = error.to_string().lines().map(str::to_owned).collect();
        let message = "the system cannot start".to_owned();
        Self::Said(Said { class: error.class().into(), message, causes, help: None })
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::from_error(Class::Environment, &error)
    }
}

impl From<ControlProblem> for Failure {
    fn from(problem: ControlProblem) -> Self {
        Self::new(Class::from_code(problem.exit), problem.detail)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Refused(problem) => problem.into(),
            error => Self::from_error(Class::Finding, &error),
        }
    }
}
