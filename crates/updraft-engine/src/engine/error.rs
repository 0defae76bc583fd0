//! Why a system cannot start, or a command cannot be followed.

use std::error::Error;
use std::fmt;

use updraft_mesh::{AuthorityError, GatewayError, TapError};

use crate::environment::ConfigError;
use crate::memory::MemoryError;
use crate::ports::PortError;
use crate::resource::{AttachError, ResourceError};
use crate::scope::ScopeError;
use crate::state_dir::StateDirError;
use crate::wire::KeepError;

/// What kind of failure it is: each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorClass {
    /// Something did not work: exit code 1.
    Finding,
    /// The words of a command, the manifest or its configuration are wrong: exit code 2.
    Usage,
    /// This machine lacks something: exit code 4.
    Environment,
}

/// Why a system cannot start: all reasons together.
#[derive(Debug)]
pub struct StartError(Vec<Reason>);

/// One reason why a system cannot start.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("there is no service `{0}` in this system")]
    NoService(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Attach(#[from] AttachError),
    #[error(transparent)]
    Resource(#[from] ResourceError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error(transparent)]
    State(#[from] StateDirError),
    #[error(transparent)]
    Tasks(#[from] crate::TaskBookError),
    #[error("cannot open the log")]
    Logs(#[source] crate::logs::OpenLogError),
    #[error("the gateway cannot start")]
    Wire(#[source] GatewayError),
    #[error(transparent)]
    Authority(#[from] KeepError),
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl StartError {
    pub(super) fn of(reasons: Vec<Reason>) -> Self {
        Self(reasons)
    }

    /// The class of the gravest reason.
    pub fn class(&self) -> ErrorClass {
        self.0.iter().map(Reason::class).max().unwrap_or(ErrorClass::Environment)
    }
}

impl Reason {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoService(_) | Self::Config(_) => ErrorClass::Usage,
            _ => ErrorClass::Environment,
        }
    }
}

impl fmt::Display for StartError {
    /// Each reason with its causes, because together they have no single source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}", chain(reason))?;
        }
        Ok(())
    }
}

impl Error for StartError {}

/// An error with its causes in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Why a command was not followed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nothing of that name runs.
    #[error("there is no {kind} `{name}`{}", nearest.as_ref().map_or(String::new(), |near| format!("; did you mean `{near}`?")))]
    Unknown {
        /// `service`, `process`, `resource` or `task`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
    },
    /// The system is not up yet, or ends.
    #[error("the system is {0}; wait until it runs")]
    NotNow(&'static str),
    /// A process did not become ready.
    #[error("{process} is not ready: {reason}")]
    NotReady {
        /// The process.
        process: String,
        /// Why.
        reason: String,
    },
    /// More copies than Updraft runs.
    #[error("{0} copies are more than {max}, the most there can be", max = super::REPLICAS_MAX)]
    TooMany(u32),
    /// A process whose number of copies follows no load.
    #[error(
        "{0} has no rule that could be put back: write `scale = {{ min = 1, max = 10, cpu = \"70%\" }}` in the manifest"
    )]
    NoRule(String),
    /// An address cannot be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// A resource cannot be had here.
    #[error("{0}")]
    Resource(String),
    /// No port can be had.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The program could not be started.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The gateway does not take it.
    #[error("the gateway does not take it: {0}")]
    Gateway(String),
    /// Nobody can be listened to.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// No certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// What runs cannot be kept for the next start.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// What is to be rolled out cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Nothing could be built of what is to be rolled out.
    #[error("{0}; what runs goes on as before")]
    Build(String),
    /// A roll-out cannot do this.
    #[error("a roll-out cannot do this: {}", .0.join("; "))]
    CannotRollOut(Vec<String>),
    /// The time for a roll-out was over before it had begun.
    #[error("the deadline of {0:?} was over before anything was replaced")]
    TooLate(std::time::Duration),
    /// A version that no process serves.
    #[error("`{service}` has no version `{version}`; it has {known}")]
    NoVersion {
        /// The service.
        service: String,
        /// What was asked for.
        version: String,
        /// What there is.
        known: String,
    },
}

impl From<GatewayError> for CommandError {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(chain(&error))
    }
}

impl CommandError {
    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unknown { .. }
            | Self::TooMany(_)
            | Self::NoRule(_)
            | Self::Attach(_)
            | Self::Gateway(_)
            | Self::Tap(_)
            | Self::Authority(_)
            | Self::CannotRollOut(_)
            | Self::NoVersion { .. } => ErrorClass::Usage,
            Self::Start(error) => error.class(),
            Self::NotNow(_)
            | Self::NotReady { .. }
            | Self::Scope(_)
            | Self::Build(_)
            | Self::TooLate(_) => ErrorClass::Finding,
            Self::Resource(_) | Self::Port(_) | Self::Memory(_) => ErrorClass::Environment,
        }
    }
}
