//! What keeps values or a release from being taken; all of it is told at once.

use std::fmt;

use serde::Serialize;

/// One thing that is missing or wrong. Never holds a secret's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: `service.KEY`, a service, or a resource.
    pub about: String,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Finding {
    pub(crate) fn new(about: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { about: about.to_string(), message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// `name` is not one of `known`.
    pub(crate) fn unknown<'k>(
        about: impl fmt::Display,
        message: impl Into<String>,
        name: &str,
        known: impl Iterator<Item = &'k str> + Clone,
    ) -> Self {
        let near = updraft_system::nearest(name, known.clone());
        let list = || known.collect::<Vec<_>>().join(", ");
        let help = near.map_or_else(
            || match list() {
                none if none.is_empty() => "there is none".to_owned(),
                list => format!("there is {list}"),
            },
            |near| format!("did you mean `{near}`?"),
        );
        Self::new(about, message).help(help)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.about, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}
