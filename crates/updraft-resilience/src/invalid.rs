//! What is wrong with a configuration: all of it at once.

use std::fmt;

/// A configuration that cannot be; names every bad field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(Vec<String>);

impl Invalid {
    /// Each problem: the field, what is wrong with it, and what it may be.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

#[cfg(feature = "serde")]
impl Invalid {
    pub(crate) fn of(problem: String) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Invalid {}

/// Collects problems while a configuration is looked through.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<String>);

impl Findings {
    /// Notes a problem of `field` unless it is as it must be.
    pub(crate) fn require(&mut self, holds: bool, field: &str, must: &str) {
        if !holds {
            self.0.push(format!("{field} must be {must}"));
        }
    }

    /// Notes a problem of `place`.
    #[cfg(feature = "serde")]
    pub(crate) fn note(&mut self, place: &str, problem: &str) {
        self.0.push(format!("{place}: {problem}"));
    }

    /// Takes over the problems of a part, each below the part's name.
    pub(crate) fn part(&mut self, name: &str, part: Result<(), Invalid>) {
        if let Err(Invalid(problems)) = part {
            self.0.extend(problems.into_iter().map(|problem| format!("{name}.{problem}")));
        }
    }

    /// Checks a part that may not be there.
    pub(crate) fn check<C>(
        &mut self,
        name: &str,
        part: Option<&C>,
        validate: impl FnOnce(&C) -> Result<(), Invalid>,
    ) {
        self.part(name, part.map_or(Ok(()), validate));
    }

    pub(crate) fn into_result(self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid(self.0)) }
    }
}
