//! `V.repro`: two builds of one source are the same.
//!
//! Both are made from copies, the second in surroundings that differ as far as this machine
//! can make them. It runs alone and last, since a compiler takes all processors and nothing
//! that is timed may run beside it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use updraft_engine::{
    BuildError, BuildRequest, BuildStep, Built, Comparison, Conditions, Made, Network, NotBuilt,
    StateDir, Variation, Verified, compare, copy_system, remove_folder,
};
use updraft_system::{Build, parse_manifest};

use super::{Bench, Control, Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::seen::Seen;
use crate::subject::{Budget, Building, Subject};
use crate::verdict::Verdict;

pub(super) const REPRO: Dynamic = Dynamic {
    id: ProbeId::VRepro,
    applies: has_build,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass)
            .with(|subject| built_by(subject, "same", "echo same > made")),
        Control::new(&[Behaviour::Good], Verdict::Warn)
            .with(|subject| built_by(subject, "dated", "date +%s > made")),
        Control::new(&[Behaviour::Good], Verdict::Fail)
            .with(|subject| built_by(subject, "promised", "pwd > made")),
    ],
};

/// How long the builds of a control may take, which write one line.
const CONTROL_WITHIN: Duration = Duration::from_secs(30);

/// Gives a control a build.
fn built_by(subject: &mut Subject, name: &str, command: &str) {
    let reproducible = name == "promised";
    let text = format!(
        "system = \"control\"\n[service.control-{name}]\nrun = \"true\"\n\
         build = {{ run = \"{command}\", keep = [\"made\"], reproducible = {reproducible} }}\n"
    );
    let system = parse_manifest(&text).ok();
    let service = system.and_then(|system| system.services.into_values().next());
    let building =
        |service| Building::new(service, subject.folder.clone(), Budget::of(CONTROL_WITHIN)).into();
    subject.build = service.map(building);
}

fn has_build(subject: &Subject) -> Result<(), Seen> {
    match &subject.build {
        None => Err(no_build()),
        Some(building) if building.service.build == Build::None => {
            Err(Seen::not_applicable("there is no build: the source is the artefact"))
        }
        Some(_) => Ok(()),
    }
}

fn no_build() -> Seen {
    Seen::unknown(
        "the audit knows the program that runs and not how it is built: the manifest of a \
         system tells that",
    )
}

async fn look(bench: Bench) -> Seen {
    let Some(building) = &bench.subject.build else { return no_build() };
    if let Some(verified) = remembered(building).await {
        let Verified { digest, varied, .. } = verified;
        return Seen::pass(format!(
            "`updraft build --verify` has built these sources twice, and both images were \
             {digest}: the second had another path, {}",
            varied.join(", ")
        ))
        .listing("varied", varied);
    }
    let mut left = building.budget.turn().await;
    let began = Instant::now();
    let compared = tokio::time::timeout(*left, twice(&bench, building, began + *left)).await;
    *left = left.saturating_sub(began.elapsed());
    drop(left);
    let seen = match compared {
        Ok(Ok((comparison, varied))) => judged(building, &comparison, &varied),
        Ok(Err(reason)) => Seen::unknown(reason),
        Err(_elapsed) => Seen::unknown(format!(
            "two builds take longer than an audit has for builds: `updraft build {} --verify` \
             has no limit, and what it shows is remembered",
            building.service.name
        )),
    };
    let directory = building.directory.to_string_lossy();
    let (directory, service) = (shell_words::quote(&directory), &building.service.name);
    seen.reproduced_by(format!("updraft -C {directory} build {service} --verify"))
}

/// What two earlier builds of the same sources have shown, if they gave the same.
async fn remembered(building: &Building) -> Option<Verified> {
    let (system, directory) = (building.system.clone()?, building.directory.clone());
    let service = building.service.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let state = StateDir::locate(&system, &directory).ok()?;
        let (store, directory) = (state.made_of(&service), &*directory);
        let network = Network::cut().unwrap_or_default();
        let conditions = Conditions { network, ..Conditions::default() };
        let (service, store, conditions) = (&service, &*store, &conditions);
        let planned = BuildRequest { service, directory, store, conditions }.plan().ok()?;
        match planned {
            BuildStep::Skip(built) => Verified::of(&state, &service.name, &built.inputs?),
            BuildStep::Run(_) => None,
        }
    });
    looked.await.ok().flatten()
}

fn judged(building: &Building, comparison: &Comparison, varied: &[&str]) -> Seen {
    let other = format!("another path, {}", varied.join(", "));
    let seen = match &comparison.difference {
        None => Seen::pass(format!(
            "two builds are the same, {}: the second had {other}",
            comparison.digest
        )),
        Some(difference) => {
            let evidence =
                format!("two builds differ: {}; the second had {other}", { difference.place() });
            match building.is_promised() {
                true => Seen::fail(format!("{evidence}; the manifest says `reproducible = true`")),
                false => Seen::warn(evidence),
            }
        }
    };
    seen.listing("varied", varied.iter().map(|word| (*word).to_owned()).collect())
}

/// Builds twice and compares, or says why that cannot be done.
async fn twice(
    bench: &Bench,
    building: &Building,
    until: Instant,
) -> Result<(Comparison, Vec<&'static str>), String> {
    let network = blocking(|| Ok(Network::cut().unwrap_or_default())).await?;
    if building.service.build == Build::Cargo && !network.is_cut() {
        return Err("without a network namespace Cargo builds here in another way than for an \
                    image"
            .to_owned());
    }
    let within = network.clone();
    let variation = blocking(move || Ok(Variation::found(&within))).await?;
    let varied = variation.named();
    let usual = Conditions { network, variation: None, apart: true };
    let other = Conditions { variation: Some(variation), ..usual.clone() };
    let place = bench.lab.place().map_err(|error| error.to_string())?;
    let one = built(bench, building, (&usual, &place.join("one")), until).await?;
    let two = built(bench, building, (&other, &place.join("elsewhere/and-longer")), until).await?;
    let service = building.service.clone();
    let comparison = blocking(move || {
        let made = [&one, &two].map(|(directory, built)| Made { directory, built });
        let compared = compare(&service, made, &place.join("compared"));
        // Two trees of packages are large, and an audit has many services. What stays is
        // removed with the lab.
        drop(remove_folder(&place));
        compared.map_err(|error| chain(&error))
    });
    Ok((comparison.await?, varied))
}

async fn built(
    bench: &Bench,
    building: &Building,
    (conditions, place): (&Conditions, &Path),
    until: Instant,
) -> Result<(PathBuf, Built), String> {
    let (from, to) = (building.directory.clone(), place.join("sources"));
    let directory = blocking(move || {
        std::fs::create_dir_all(&to)
            .and_then(|()| copy_system(&from, &to, Some(until)))
            .map_err(|error| format!("the sources cannot be copied: {error}"))
    });
    let directory = directory.await?;
    let (scopes, store) = (bench.lab.scopes(), place.join("store"));
    let built = updraft_engine::build(
        scopes,
        &building.service,
        &directory,
        &store,
        conditions,
        &|_, _| {},
    );
    match built.await {
        Ok(built) => Ok((directory, built)),
        Err(error) => Err(not_built(&error)),
    }
}

/// That a copy cannot be built says nothing of two that can: it may want a file that Git ignores.
fn not_built(error: &NotBuilt) -> String {
    let last = match error {
        NotBuilt::Build(BuildError::Failed { output, .. } | BuildError::NotKept { output, .. }) => {
            output.lines().rev().find(|line| !line.trim().is_empty())
        }
        _ => None,
    };
    let last = last.map(|line| format!("; its last line: {line}")).unwrap_or_default();
    format!("a copy of the sources cannot be built: {}{last}", chain(error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_panic| Err("the builds cannot be compared".to_owned()))
}
