//! `III.malformed`: with a value that is not of its type the program ends at once and says which.

use super::contract::{declared, fate, judged, malformed, pasted, setup};
use super::required::with_limit;
use super::{Bench, Control, Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::seen::Seen;
use crate::subject::Subject;
use crate::verdict::Verdict;

/// The most variables that get a wrong value, one run each.
const VARIABLES_MAX: usize = 24;

pub(super) const MALFORMED: Dynamic = Dynamic {
    id: ProbeId::IiiMalformed,
    applies,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Contract], Verdict::Pass).with(with_limit),
        Control::new(&[Behaviour::Unnamed], Verdict::Warn).with(with_limit),
        Control::new(&[Behaviour::Good], Verdict::Fail).with(with_limit),
    ],
};

/// Variables with a wrong value.
fn typed(subject: &Subject) -> Vec<(&String, &'static str)> {
    let wrong =
        subject.config.iter().filter_map(|(name, key)| Some((name, malformed(&key.shape)?)));
    wrong.take(VARIABLES_MAX).collect()
}

fn applies(subject: &Subject) -> Result<(), Seen> {
    declared(subject)?;
    if typed(subject).is_empty() {
        return Err(Seen::not_applicable("any text is right for each variable of its contract"));
    }
    Ok(())
}

async fn look(bench: Bench) -> Seen {
    match bench.start_with(&setup(&bench)).await {
        Ok(running) => drop(running.end().await),
        Err(seen) => return seen,
    }
    let (mut fates, mut timeline) = (Vec::new(), Vec::new());
    let wrong = typed(&bench.subject);
    for some in wrong.chunks(2) {
        let runs = some.iter().map(|(name, value)| {
            let setup = setup(&bench).variable(name, Some(value));
            let bench = &bench;
            async move { (format!("with {name}={value}"), fate(bench, &setup, name).await) }
        });
        for (what, (fate, moments)) in futures_util::future::join_all(runs).await {
            fates.push((what, fate));
            timeline = moments;
        }
    }
    let count = wrong.len();
    let mut seen = judged(
        &fates,
        format!("it ends and names it with a wrong value of any of its {count} typed variables"),
    );
    if let Some((name, value)) = wrong.first() {
        seen = seen.reproduced_by(format!("{}; echo $?", pasted(&bench, &[(name, Some(value))])));
    }
    seen.timeline = timeline;
    seen
}
