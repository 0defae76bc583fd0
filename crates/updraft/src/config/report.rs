//! The report of all that is wrong with a configuration.

use std::borrow::Cow;
use std::fmt;

use super::near::NearMiss;

/// Every variable that is wrong: what is wrong with it, what it is, what it should be, and an
/// example where there is one; then what was probably misspelt. Never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigReport {
    problems: Vec<Problem>,
    near_misses: Vec<NearMiss>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// `NAME`, or `NAME_FILE` where that is what is wrong.
    pub(super) variable: Cow<'static, str>,
    pub(super) wrong: String,
    pub(super) expected: String,
    pub(super) about: &'static str,
    /// An assignment.
    pub(super) example: Option<String>,
    /// No environment could make it right.
    pub(super) is_of_declaration: bool,
}

impl ConfigReport {
    pub(super) fn new(problems: Vec<Problem>, near_misses: Vec<NearMiss>) -> Self {
        Self { problems, near_misses }
    }

    /// The variables that are wrong, each once.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(|problem| problem.variable.as_ref())
    }

    /// The report with the names of variables in colour, for a terminal.
    pub(crate) fn in_colour(&self) -> impl fmt::Display {
        Coloured(self)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, name: &dyn Fn(&str) -> String) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "variable is" } else { "variables are" };
        write!(f, "{count} environment {noun} wrong")?;
        for problem in &self.problems {
            let Problem { variable, wrong, expected, about, example, .. } = problem;
            write!(f, "\n\n  {} {wrong}", name(variable))?;
            if !about.is_empty() {
                write!(f, "\n    what it is: {about}")?;
            }
            if problem.is_of_declaration {
                write!(f, "\n    this is to be put right in the source of the service")?;
                continue;
            }
            write!(f, "\n    set it to {expected}")?;
            if let Some(example) = example {
                write!(f, "\n    for example: {example}")?;
            }
        }
        for NearMiss { found, meant } in &self.near_misses {
            write!(f, "\n\n  {} is set and nothing reads it; did you mean {meant}?", name(found))?;
        }
        Ok(())
    }
}

impl fmt::Display for ConfigReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &str::to_owned)
    }
}

struct Coloured<'a>(&'a ConfigReport);

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, &|name| format!("\x1b[1;31m{name}\x1b[0m"))
    }
}
