//! `updraft build`: makes the images of services, each known by its digest.

mod image;
mod prune;
mod remote;
mod source;
mod verify;
mod workshop;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap_complete::ArgValueCandidates;
use updraft_system::release::{Artifact, Sha256};
use updraft_system::{Name, Service, System};

use crate::completion;
use crate::failure::{Class, Failure, Outcome};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::progress::Progress;
use crate::quantity;
use image::{Images, Made};
use remote::{RegistryArgs, Remote};
use source::Source;
use workshop::Workshop;

/// Make the images of services, without a container engine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft build                        the image of every service
  updraft build orders --oci ./image   one of them, into an OCI layout
  updraft build --push r.example/shop  and send them: `r.example/shop/orders`, …
  updraft build --verify               twice, and compare: the first difference is shown
  updraft build orders --commit v1.2   as of a commit, whatever the folder holds now

The digest of each image is written to stdout; with one service it is the last line, alone.
A build step has a network only while it fetches what its lock file names. What an image is
made of (CycloneDX) and how it came about (SLSA, signed) are attached to it.

The images are kept in the state folder, and are read by any tool that knows OCI layouts.")]
pub(crate) struct BuildArgs {
    /// Services; all of them if none is named
    #[arg(value_name = "SERVICE")]
    #[arg(add = ArgValueCandidates::new(completion::services))]
    services: Vec<Name>,
    /// Write the images into this OCI layout, each by the name of its service
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    oci: Option<PathBuf>,
    /// Send the images to this place in a registry; of several each has its service behind it
    #[arg(long, value_name = "REFERENCE")]
    push: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Build twice, the second time somewhere else, and compare
    #[arg(long)]
    verify: bool,
    /// Build this commit instead of the working tree
    #[arg(long, value_name = "REVISION", conflicts_with = "verify")]
    commit: Option<String>,
}

pub(crate) async fn run(global: &Global, args: BuildArgs) -> Outcome {
    let source = match &args.commit {
        Some(revision) => Source::of_commit(&global.directory, revision)?,
        None => Source::of_folder(&global.directory)?,
    };
    let wanted = wanted(source.system(), &args.services)?;
    let workshop = Workshop::open().await?;
    let outcome = within(&workshop, global, &args, &source, &wanted).await;
    workshop.close().await;
    outcome
}

async fn within(
    workshop: &Workshop,
    global: &Global,
    args: &BuildArgs,
    source: &Source,
    wanted: &[&Service],
) -> Outcome {
    if !workshop.network().is_cut() {
        output::say("note: this machine has no network namespaces: builds can use the network");
    }
    let remote = Remote::open(&args.registry)?;
    let images = Images::open(source, &remote)?;
    if let Some(place) = &args.push {
        for service in wanted {
            remote::target(place, service.name.as_str(), 1 < wanted.len())?;
        }
    }
    let mut progress = Progress::start(global.json);
    let mut made = Vec::new();
    for service in wanted {
        made.push(images.make(workshop, source, service, &mut progress).await?);
    }
    if args.verify {
        let different =
            verify::again(workshop, source, wanted, &images, &made, &mut progress).await?;
        progress.clear();
        if !different.is_empty() {
            let failure = Failure::finding("a second build gave other images");
            return Err(different.iter().fold(failure, |failure, found| failure.because(found)));
        }
    }
    if let Some(folder) = &args.oci {
        images.copy(&made, folder)?;
    }
    if let Some(place) = &args.push {
        let pushed = remote.push(images.layout(), &made, place, &mut progress).await?;
        for (one, place) in made.iter_mut().zip(pushed) {
            one.pushed = Some(place);
        }
    }
    progress.clear();
    images.prune(source)?;
    show(global, &made, args.oci.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

/// The images of all services of the working tree, as a release has them.
pub(crate) async fn artifacts(global: &Global) -> Result<BTreeMap<Name, Artifact>, Failure> {
    let source = Source::of_folder(&global.directory)?;
    let remote = Remote::open(&RegistryArgs::default())?;
    let workshop = Workshop::open().await?;
    let built = every(&workshop, global, &source, &remote).await;
    workshop.close().await;
    built
}

async fn every(
    workshop: &Workshop,
    global: &Global,
    source: &Source,
    remote: &Remote,
) -> Result<BTreeMap<Name, Artifact>, Failure> {
    let images = Images::open(source, remote)?;
    let mut progress = Progress::start(global.json);
    let mut artifacts = BTreeMap::new();
    for service in source.system().services.values() {
        let made = images.make(workshop, source, service, &mut progress).await?;
        let revision = source.revision();
        let digest = Sha256::of_hex(made.digest.hex())
            .map_err(|error| Failure::from_error(Class::Finding, &error))?;
        let artifact = Artifact {
            digest,
            commit: revision.map(|revision| revision.commit.clone()),
            dirty: revision.is_some_and(|revision| revision.dirty),
        };
        artifacts.insert(service.name.clone(), artifact);
    }
    images.prune(source)?;
    Ok(artifacts)
}

fn show(global: &Global, made: &[Made], oci: Option<&Path>) -> Result<(), Failure> {
    if global.json {
        return output::json_result(&made);
    }
    for one in made {
        one.notes.iter().for_each(|note| output::say(format!("note: {note}")));
        let size = quantity::bytes(one.size as f64);
        let (layers, parts) = (one.layers.len(), one.components);
        let state = if one.reused { "unchanged" } else { "built" };
        output::say(format!("{state} {}: {layers} layers, {size}, {parts} parts", one.service));
        if let Some(place) = &one.pushed {
            output::say(format!("pushed {place}"));
        }
    }
    if let Some(folder) = oci {
        output::say(format!("written to {}", folder.display()));
    }
    match made {
        [one] => output::result(&one.digest),
        _ => made
            .iter()
            .try_for_each(|one| output::result(format!("{} {}", one.service, one.digest))),
    }
}

/// The services of those names, or all; each wrong name is told.
fn wanted<'a>(system: &'a System, names: &[Name]) -> Result<Vec<&'a Service>, Failure> {
    if names.is_empty() {
        return Ok(system.services.values().collect());
    }
    let found = names.iter().map(|name| {
        names::service(system, name).map_err(|error| Failure::usage(error.to_string()))
    });
    found.collect()
}
