//! What was expected, what came, and how often.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;

use super::{Audited, Program};

/// The verdicts that decide nothing.
const UNDECIDED: [&str; 2] = ["unknown", "flaky"];

/// How a finding stands to the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// As it should be.
    Right,
    /// It could not be seen, where it could have been, or trials did not agree: neither says
    /// that the program is good or bad.
    Undecided,
    /// A verdict that is not true, or one that nobody expected.
    Wrong,
}

/// All findings beside the truth.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// By probe, what was expected, and what came.
    cells: BTreeMap<(String, String, String), usize>,
    judged: BTreeMap<Judgement, usize>,
    lines: Vec<(Judgement, String)>,
}

impl Matrix {
    /// Adds what was said of a program.
    pub fn add(&mut self, program: &Program, audited: &Audited) -> Result<()> {
        let mut missing = program.probes()?;
        for finding in &audited.probes {
            missing.remove(&finding.id);
            let shape = finding.shape.as_deref();
            let truth = program.about(&finding.program, &finding.id, shape)?;
            let verdict = &finding.verdict;
            let (expected, because) = truth.map_or_else(
                || ("nothing".to_owned(), "nobody has said what is true".to_owned()),
                |truth| (truth.verdicts.join(" or "), truth.because),
            );
            let judgement = match expected.split(" or ").any(|word| word == verdict) {
                true => Judgement::Right,
                false if UNDECIDED.contains(&&**verdict) && expected != "nothing" => {
                    Judgement::Undecided
                }
                false => Judgement::Wrong,
            };
            let of = format!("{} ({})", program.name, finding.program);
            let place = format!("{} {}", finding.id, shape.unwrap_or("once"));
            let said =
                format!("{expected} since {because}; it says {verdict}: {}", finding.evidence);
            self.note(judgement, format!("{of} {place}: {said}"));
            let cell = (finding.id.clone(), expected, verdict.clone());
            *self.cells.entry(cell).or_default() += 1;
        }
        for probe in missing {
            self.note(Judgement::Wrong, format!("{}: nothing was said of {probe}", program.name));
        }
        Ok(())
    }

    /// A program that could not be audited at all.
    pub fn add_failure(&mut self, program: &Program, error: &anyhow::Error) {
        self.note(Judgement::Wrong, format!("{}: {error:#}", program.name));
    }

    fn note(&mut self, judgement: Judgement, line: String) {
        *self.judged.entry(judgement).or_default() += 1;
        if judgement != Judgement::Right {
            self.lines.push((judgement, line));
        }
    }

    /// How many findings were judged so.
    #[must_use]
    pub fn count(&self, judgement: Judgement) -> usize {
        self.judged.get(&judgement).copied().unwrap_or_default()
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<14} {:<20} {:<15} {:>5}", "probe", "expected", "got", "times")?;
        for ((probe, expected, got), times) in &self.cells {
            let expects = expected.split(" or ").any(|word| word == got);
            let mark = if expects { "" } else { "  <-" };
            writeln!(f, "{probe:<14} {expected:<20} {got:<15} {times:>5}{mark}")?;
        }
        for (judgement, line) in &self.lines {
            writeln!(f, "{judgement:?}: {line}")?;
        }
        let [right, undecided, wrong] =
            [Judgement::Right, Judgement::Undecided, Judgement::Wrong].map(|it| self.count(it));
        write!(f, "{right} right, {undecided} undecided, {wrong} wrong")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::audit::Finding;

    fn judged(verdict: &str, probe: &str) -> Result<Matrix> {
        let program: Program = toml::from_str(
            "name = 'p'\nrun = 'p'\ntruth = { 'IX.term' = 'fail or flaky: it is deaf' }",
        )?;
        let finding = Finding {
            id: probe.to_owned(),
            program: "p".to_owned(),
            shape: Some("child".to_owned()),
            verdict: verdict.to_owned(),
            evidence: "seen".to_owned(),
            reproducer: None,
        };
        let audited = Audited {
            schema: String::new(),
            machine: serde_json::Value::Null,
            probes: vec![finding],
            took: std::time::Duration::ZERO,
        };
        let mut matrix = Matrix::default();
        matrix.add(&program, &audited)?;
        Ok(matrix)
    }

    #[test]
    fn only_what_is_true_is_right_and_what_decides_nothing_is_undecided() -> Result<()> {
        for (verdict, judgement) in [
            ("fail", Judgement::Right),
            ("flaky", Judgement::Right),
            ("unknown", Judgement::Undecided),
            ("pass", Judgement::Wrong),
            ("warn", Judgement::Wrong),
        ] {
            assert_eq!(judged(verdict, "IX.term")?.count(judgement), 1, "{verdict}");
        }
        // One finding that nobody expects, and one that does not come.
        assert_eq!(judged("unknown", "IX.drain")?.count(Judgement::Wrong), 2);
        Ok(())
    }
}
