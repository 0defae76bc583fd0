//! `III.required`: without a required variable the program ends at once and says which.

use updraft_system::{ConfigKey, ConfigType};

use super::contract::{declared, fate, judged, pasted, setup};
use super::{Bench, Control, Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::control::site::LIMIT;
use crate::seen::Seen;
use crate::subject::Subject;
use crate::verdict::Verdict;

/// The most variables that are taken away, one run each.
const VARIABLES_MAX: usize = 24;

pub(super) const REQUIRED: Dynamic = Dynamic {
    id: ProbeId::IiiRequired,
    applies,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Contract], Verdict::Pass).with(with_limit),
        Control::new(&[Behaviour::Unnamed], Verdict::Warn).with(with_limit),
        Control::new(&[Behaviour::Good], Verdict::Fail).with(with_limit),
    ],
};

/// A control with a contract.
pub(super) fn with_limit(subject: &mut Subject) {
    let shape = ConfigType::Int { min: Some(1), max: Some(500) };
    subject.config.insert(LIMIT.to_owned(), ConfigKey { shape, default: None });
    subject.environment.insert(LIMIT.to_owned(), "50".to_owned());
}

fn required(subject: &Subject) -> Vec<&String> {
    let required = subject.config.iter().filter(|(_, key)| key.default.is_none());
    required.map(|(name, _)| name).take(VARIABLES_MAX).collect()
}

fn applies(subject: &Subject) -> Result<(), Seen> {
    declared(subject)?;
    if required(subject).is_empty() {
        return Err(Seen::not_applicable("every variable of its contract has a default"));
    }
    Ok(())
}

async fn look(bench: Bench) -> Seen {
    // What does not start with all of them says nothing when it does not start without one.
    match bench.start_with(&setup(&bench)).await {
        Ok(running) => drop(running.end().await),
        Err(seen) => return seen,
    }
    let (mut fates, mut timeline) = (Vec::new(), Vec::new());
    let names = required(&bench.subject);
    for some in names.chunks(2) {
        let runs = some.iter().map(|name| {
            let setup = setup(&bench).variable(name, None);
            let bench = &bench;
            async move { (format!("without {name}"), fate(bench, &setup, name).await) }
        });
        for (what, (fate, moments)) in futures_util::future::join_all(runs).await {
            fates.push((what, fate));
            timeline = moments;
        }
    }
    let count = names.len();
    let mut seen = judged(
        &fates,
        format!("it ends and names it without any of its {count} required variables"),
    );
    if let Some(name) = names.first() {
        seen = seen.reproduced_by(format!("{}; echo $?", pasted(&bench, &[(name, None)])));
    }
    seen.timeline = timeline;
    seen
}
