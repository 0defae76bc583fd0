//! From trials to a verdict, by the rules of evidence: controls first, a failure three times,
//! and what could not be seen is unknown.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Mutex, OnceCell};

use crate::catalogue::ProbeId;
use crate::lab::{Feature, Lab};
use crate::probe::{Bench, Control, Dynamic};
use crate::report::Finding;
use crate::seen::Seen;
use crate::subject::Subject;
use crate::verdict::{Shape, Verdict};

/// A failure is said after so many trials that all fail.
const TRIALS: usize = 3;
/// How long a control has from SIGTERM to SIGKILL: it needs a few milliseconds.
const CONTROL_GRACE: Duration = Duration::from_secs(2);

/// Judges programs. Shared by all lanes of an audit.
#[derive(Debug)]
pub(crate) struct Judge {
    lab: Lab,
    scale: f64,
    quick: bool,
    /// Whether a probe can tell its controls apart on this machine, in this minute.
    controls: Mutex<HashMap<(ProbeId, Option<Shape>), Told>>,
}

type Told = Arc<OnceCell<Result<(), String>>>;

impl Judge {
    /// One with the time limits of this machine.
    pub(crate) fn new(lab: Lab, scale: f64, quick: bool) -> Self {
        Self { lab, scale, quick, controls: Mutex::default() }
    }

    /// What a probe says of a program.
    pub(crate) async fn judge(
        &self,
        probe: &'static Dynamic,
        subject: &Arc<Subject>,
        shape: Option<Shape>,
    ) -> Finding {
        let weighed = match self.admit(probe, subject, shape).await {
            Ok(()) => match &subject.build {
                // The processes of a service have one artefact, which is built for all of them.
                // Two builds that differ need no further trial.
                Some(building) if probe.id == ProbeId::VRepro => {
                    let look = || (probe.look)(self.bench(subject, shape));
                    said_once(building.judged.get_or_init(look).await.clone())
                }
                _ => weighed(self.trials(probe, subject, shape).await),
            },
            Err(seen) => weighed(vec![seen]),
        };
        weighed.finding(probe.id, &subject.name, shape)
    }

    /// Whether the probe can say anything of the program here.
    async fn admit(
        &self,
        probe: &'static Dynamic,
        subject: &Subject,
        shape: Option<Shape>,
    ) -> Result<(), Seen> {
        (probe.applies)(subject)?;
        self.offers(probe, shape).await?;
        let told = Arc::clone(self.controls.lock().await.entry((probe.id, shape)).or_default());
        let told = told.get_or_init(|| self.tell_apart(probe, shape)).await;
        told.clone().map_err(Seen::unknown)
    }

    /// Whether the machine offers what the probe needs.
    async fn offers(&self, probe: &'static Dynamic, shape: Option<Shape>) -> Result<(), Seen> {
        if shape == Some(Shape::Pid1)
            && let Some(reason) = self.lab.tiers().await.without(Feature::Pid1)
        {
            return Err(Seen::unknown(format!(
                "it cannot be run as the first process of a namespace here: {reason}"
            )));
        }
        for feature in probe.needs {
            if let Some(reason) = self.lab.tiers().await.without(*feature) {
                let name = feature.as_str();
                return Err(Seen::unknown(format!("this needs a {name}: {reason}")));
            }
        }
        Ok(())
    }

    /// Judges the controls: whoever cannot tell good from bad here judges nobody.
    async fn tell_apart(
        &self,
        probe: &'static Dynamic,
        shape: Option<Shape>,
    ) -> Result<(), String> {
        let judged = futures_util::future::join_all(
            controls(probe, shape).map(|control| self.judge_control(probe, control, shape)),
        );
        let differs = |control: &JudgedControl| control.got != control.expected;
        match judged.await.into_iter().find(differs) {
            None => Ok(()),
            Some(JudgedControl { control, expected, got, evidence, .. }) => Err(format!(
                "this machine cannot show it now: of the {control}, whose verdict is {expected}, \
                 it says {got} ({evidence})"
            )),
        }
    }

    /// What a probe says of each of its controls here.
    pub(crate) async fn self_test(
        &self,
        probe: &'static Dynamic,
        shape: Option<Shape>,
    ) -> Vec<JudgedControl> {
        let offered = self.offers(probe, shape).await;
        let mut judged = Vec::new();
        for control in controls(probe, shape) {
            judged.push(match &offered {
                Ok(()) => self.judge_control(probe, control, shape).await,
                Err(seen) => JudgedControl::of(probe, shape, control, seen),
            });
        }
        judged
    }

    async fn judge_control(
        &self,
        probe: &'static Dynamic,
        control: &Control,
        shape: Option<Shape>,
    ) -> JudgedControl {
        let seen = match self.lab.place() {
            Err(error) => Seen::unknown(error.to_string()),
            Ok(folder) => {
                let executable = self.lab.executable().to_string_lossy().into_owned();
                let mut subject = Subject::control(executable, folder, control.behaviours);
                subject.grace = CONTROL_GRACE;
                (control.prepare)(&mut subject);
                (probe.look)(self.bench(&Arc::new(subject), shape)).await
            }
        };
        JudgedControl::of(probe, shape, control, &seen)
    }

    /// One trial, and when it failed two more at a time.
    async fn trials(
        &self,
        probe: &'static Dynamic,
        subject: &Arc<Subject>,
        shape: Option<Shape>,
    ) -> Vec<Seen> {
        let trial = || (probe.look)(self.bench(subject, shape));
        let first = trial().await;
        if first.verdict != Verdict::Fail {
            return vec![first];
        }
        let (second, third) = tokio::join!(trial(), trial());
        vec![first, second, third]
    }

    fn bench(&self, subject: &Arc<Subject>, shape: Option<Shape>) -> Bench {
        Bench {
            lab: self.lab.clone(),
            subject: Arc::clone(subject),
            shape: shape.unwrap_or(Shape::Child),
            scale: self.scale,
            quick: self.quick,
        }
    }
}

fn controls(
    probe: &'static Dynamic,
    shape: Option<Shape>,
) -> impl Iterator<Item = &'static Control> {
    let run_as = shape.unwrap_or(Shape::Child);
    let fits =
        move |control: &&Control| control.shapes.is_empty() || control.shapes.contains(&run_as);
    probe.controls.iter().filter(fits)
}

/// What a probe says of a program of our own, whose verdict is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JudgedControl {
    /// The probe.
    pub id: ProbeId,
    /// In which shape.
    pub shape: Option<Shape>,
    /// The program.
    pub control: String,
    /// What it should say.
    pub expected: Verdict,
    /// What it says.
    pub got: Verdict,
    /// What was seen.
    pub evidence: String,
}

impl JudgedControl {
    fn of(probe: &Dynamic, shape: Option<Shape>, control: &Control, seen: &Seen) -> Self {
        let words: Vec<_> = control.behaviours.iter().map(|one| one.as_str()).collect();
        Self {
            id: probe.id,
            shape,
            control: format!("control {}", words.join(",")),
            expected: control.expected,
            got: seen.verdict,
            evidence: seen.evidence.clone(),
        }
    }
}

/// What trials come to.
#[derive(Debug)]
pub(crate) struct Weighed {
    verdict: Verdict,
    evidence: String,
    reproducer: Option<String>,
    trials: Vec<Seen>,
}

/// A failure only where all trials fail; a mixture is flaky, with its rate.
pub(crate) fn weighed(trials: Vec<Seen>) -> Weighed {
    let failed = trials.iter().filter(|seen| seen.verdict == Verdict::Fail).count();
    let told = trials.iter().find(|seen| seen.verdict == Verdict::Fail).or(trials.first());
    let (verdict, evidence, reproducer) = match told {
        None => (Verdict::Unknown, "there was no trial".to_owned(), None),
        Some(seen) => (seen.verdict, seen.evidence.clone(), seen.reproducer.clone()),
    };
    let (verdict, evidence) = match (verdict, failed, trials.len()) {
        (Verdict::Fail, failed, TRIALS) if failed == TRIALS => {
            (Verdict::Fail, format!("{evidence} (3 of 3 trials)"))
        }
        (Verdict::Fail, failed, all) => {
            (Verdict::Flaky, format!("in {failed} of {all} trials: {evidence}"))
        }
        (other, _, _) => (other, evidence),
    };
    Weighed { verdict, evidence, reproducer, trials }
}

/// What files say is the same each time.
pub(crate) fn said_once(seen: Seen) -> Weighed {
    let (verdict, evidence) = (seen.verdict, seen.evidence.clone());
    Weighed { verdict, evidence, reproducer: seen.reproducer.clone(), trials: vec![seen] }
}

impl Weighed {
    /// As it stands in a report.
    pub(crate) fn finding(self, id: ProbeId, program: &str, shape: Option<Shape>) -> Finding {
        Finding {
            id,
            program: program.to_owned(),
            shape,
            verdict: self.verdict,
            evidence: self.evidence,
            reproducer: self.reproducer,
            tier: id.probe().tier,
            trials: self.trials.into_iter().map(Seen::into_trial).collect(),
            waiver: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(trials: &[Verdict]) -> Verdict {
        let seen = |verdict: &Verdict| match verdict {
            Verdict::Fail => Seen::fail("no"),
            Verdict::Unknown => Seen::unknown("?"),
            Verdict::Warn => Seen::warn("hm"),
            _ => Seen::pass("yes"),
        };
        weighed(trials.iter().map(seen).collect()).verdict
    }

    #[test]
    fn only_three_failures_of_three_are_a_failure() {
        use Verdict::{Fail, Flaky, Pass, Unknown, Warn};
        let table: &[(&[Verdict], Verdict)] = &[
            (&[Pass], Pass),
            (&[Warn], Warn),
            (&[Unknown], Unknown),
            (&[Fail, Fail, Fail], Fail),
            (&[Fail, Pass, Fail], Flaky),
            (&[Fail, Pass, Pass], Flaky),
            (&[Fail, Unknown, Fail], Flaky),
            (&[], Unknown),
        ];
        for (trials, expected) in table {
            assert_eq!(verdict(trials), *expected, "{trials:?}");
        }
    }
}
