//! What one trial of a probe has seen, before anything is made of it.

use std::collections::BTreeMap;

use crate::report::{Fact, Moment, Trial};
use crate::verdict::Verdict;

/// What one trial of a probe has seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) verdict: Verdict,
    /// One sentence.
    pub(crate) evidence: String,
    /// One line that shows the same when pasted into a shell.
    pub(crate) reproducer: Option<String>,
    pub(crate) timeline: Vec<Moment>,
    pub(crate) facts: BTreeMap<String, Fact>,
}

impl Seen {
    fn new(verdict: Verdict, evidence: impl Into<String>) -> Self {
        Self {
            verdict,
            evidence: evidence.into(),
            reproducer: None,
            timeline: Vec::new(),
            facts: BTreeMap::new(),
        }
    }

    /// It holds.
    pub(crate) fn pass(evidence: impl Into<String>) -> Self {
        Self::new(Verdict::Pass, evidence)
    }

    /// It does not hold.
    pub(crate) fn fail(evidence: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, evidence)
    }

    /// It does not hold, and harms less.
    pub(crate) fn warn(evidence: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, evidence)
    }

    /// A fact.
    pub(crate) fn info(evidence: impl Into<String>) -> Self {
        Self::new(Verdict::Info, evidence)
    }

    /// It could not be seen, for this reason.
    pub(crate) fn unknown(evidence: impl Into<String>) -> Self {
        Self::new(Verdict::Unknown, evidence)
    }

    /// There is nothing to hold.
    pub(crate) fn not_applicable(evidence: impl Into<String>) -> Self {
        Self::new(Verdict::NotApplicable, evidence)
    }

    /// With a line for the shell.
    pub(crate) fn reproduced_by(mut self, line: impl Into<String>) -> Self {
        self.reproducer = Some(line.into());
        self
    }

    /// With a measured number; the name ends in its unit.
    pub(crate) fn measured(mut self, name: &str, value: f64) -> Self {
        self.facts.insert(name.to_owned(), Fact::Number(value));
        self
    }

    /// With a list of names or paths.
    pub(crate) fn listing(mut self, name: &str, values: Vec<String>) -> Self {
        self.facts.insert(name.to_owned(), Fact::List(values));
        self
    }

    /// As it stands in a report.
    pub(crate) fn into_trial(self) -> Trial {
        let Self { verdict, evidence, timeline, facts, .. } = self;
        Trial { verdict, evidence, timeline, facts }
    }
}
