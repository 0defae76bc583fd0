//! What ran in the background before a reboot or a crash, as `up` starts it again.

use updraft_engine::{Remembered, StateDir};
use updraft_system::System;
use updraft_system::release::ReleaseNumber;

use super::Up;
use crate::failure::Failure;
use crate::output;

/// What is to run again, without what the manifest does not have any more; `None`: nothing
/// is remembered.
pub(super) fn what_ran(state: &StateDir, system: &System) -> Result<Option<Remembered>, Failure> {
    let Some(run) = Remembered::load(state)? else { return Ok(None) };
    let named = !run.services.is_empty();
    let (run, strangers) = run.without_strangers(system);
    if named && run.services.is_empty() {
        // Without a name it would be the whole system, which nobody has asked for.
        let gone = strangers.join(", ");
        return Err(Failure::usage(format!("the manifest has nothing of what ran before: {gone}"))
            .help("`updraft up -d --fresh` starts the system as its manifest has it"));
    }
    Ok(Some(run))
}

/// The release that ran before, if one did.
pub(super) fn release(state: &StateDir) -> Result<Option<ReleaseNumber>, Failure> {
    let number = Remembered::load(state)?.and_then(|run| run.release);
    Ok(number.and_then(|number| number.to_string().parse().ok()))
}

/// Says what is about to run again, and what of it cannot.
pub(super) fn tell(up: &Up, system: &System) -> Result<(), Failure> {
    if up.args.fresh || !up.only.is_empty() {
        return Ok(());
    }
    let Some(all) = Remembered::load(&up.addressed.state)? else { return Ok(()) };
    let (_, gone) = all.without_strangers(system);
    if !gone.is_empty() {
        let gone = gone.join(", ");
        output::say(format!("no longer in the manifest, and so not started again: {gone}"));
    }
    if let Some(run) = what_ran(&up.addressed.state, system)?
        && !run.is_plain()
    {
        output::say(format!("as it ran before: {}", in_words(&run)));
        output::say("`updraft up -d --fresh` starts it as its manifest has it");
    }
    Ok(())
}

fn in_words(run: &Remembered) -> String {
    let release = run.release.iter().map(|number| format!("release {number}"));
    let services = run.services.iter().map(ToString::to_string);
    let scales = run.scales.iter().flat_map(|(service, processes)| {
        processes.iter().map(move |(process, replicas)| format!("{service}.{process}={replicas}"))
    });
    release.chain(services).chain(scales).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_is_told_in_one_line() {
        let text = r#"{"services": ["api", "mail"], "scales": {"api": {"web": 3, "work": 0}}}"#;
        let mut run: Remembered = serde_json::from_str(text).unwrap();
        assert_eq!(in_words(&run), "api, mail, api.web=3, api.work=0");
        run.release = Some(41);
        assert_eq!(in_words(&run), "release 41, api, mail, api.web=3, api.work=0");
    }
}
