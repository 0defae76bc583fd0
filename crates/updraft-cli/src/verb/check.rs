//! `updraft check`: audits programs of any language against the twelve factors.

mod args;
mod deploys;
mod selection;
mod self_test;
mod show;

use std::process::ExitCode;
use std::sync::Arc;

use jiff::civil::Date;
use updraft_audit::{
    Audit, CannotBuild, LabError, Progress as Step, Report, Request, Subject, Waiver, compare,
    derive, exit, read_baseline,
};
use updraft_engine::NotBuilt;
use updraft_system::System;

pub(crate) use args::CheckArgs;
use args::{ShapeChoice, probes};

use crate::failure::{Class, Failure, Outcome};
use crate::global::Global;
use crate::output;
use crate::progress::Progress;
use selection::Selected;

pub(crate) async fn run(global: &Global, args: CheckArgs) -> Outcome {
    let baseline = args.baseline.as_deref().map(read_earlier).transpose()?;
    let selected = Selected::find(global, &args)?;
    let without = args.without();
    let audit = Audit::open(&without, args.allow_egress).await.map_err(|error| no_lab(&error))?;
    let outcome = within(&audit, global, &args, selected, baseline).await;
    audit.close().await;
    outcome
}

async fn within(
    audit: &Audit,
    global: &Global,
    args: &CheckArgs,
    selected: Selected,
    baseline: Option<Report>,
) -> Outcome {
    if args.self_test {
        return self_test::run(audit, global, &request(args, Vec::new())?).await;
    }
    let mut progress = Progress::start(global.json);
    let system = selected.system().cloned().map(Arc::new);
    let (attached, deploys) = (selected.attached()?, Arc::new(selected.deploys()));
    let subjects = selected.subjects(audit, args, &mut progress).await?;
    let mut request = request(args, subjects)?;
    request.waivers = waivers(system.as_deref())?;
    request.system = system;
    request.attached = attached;
    request.deploys = deploys;
    let report = audit.run(&request, following(progress)).await;
    show::report(&report, global, args)?;
    if let Some(path) = &args.derive {
        let observed = derive(&report).to_toml().map_err(|error| {
            Failure::environment("what was observed cannot be written").because(&error)
        })?;
        show::write(path, &observed)?;
    }
    let code = match baseline {
        None => exit(&report, args.strict).code(),
        Some(earlier) => {
            let comparison = compare(&earlier, &report);
            output::say(comparison.to_string().trim_end());
            comparison.exit(args.strict).code()
        }
    };
    Ok(ExitCode::from(code))
}

/// Says what goes on while it goes on.
fn following(progress: Progress) -> impl Fn(Step) {
    let progress = std::cell::RefCell::new(progress);
    let done = std::cell::Cell::new((0, 0));
    move |step| {
        let text = match step {
            Step::Begun { id, program, shape } => {
                let (done, of) = done.get();
                let shape = shape.map(|shape| format!(" as {shape}")).unwrap_or_default();
                let of = if of == 0 { String::new() } else { format!(" {done}/{of}") };
                format!("auditing{of}: {id} of {program}{shape}")
            }
            Step::Done { finding, done: count, of } => {
                done.set((count, of));
                let verdict = finding.verdict;
                format!("auditing {count}/{of}: {} of {} is {verdict}", finding.id, finding.program)
            }
        };
        progress.borrow_mut().show(&text);
    }
}

fn request(args: &CheckArgs, subjects: Vec<Subject>) -> Result<Request, Failure> {
    let mut request = if args.quick { Request::quick(subjects) } else { Request::whole(subjects) };
    if !args.only.is_empty() {
        request.probes = probes(&args.only)?;
    }
    request.shapes = args.shape.shapes();
    if let Some(lanes) = args.lanes {
        request.lanes = lanes.get();
    }
    for subject in &mut request.subjects {
        if args.shape == ShapeChoice::Pid1 {
            subject.deployed = updraft_audit::Shape::Pid1;
        }
    }
    Ok(request)
}

/// The waivers of the manifest; one of a probe that does not exist is a mistake in it.
fn waivers(system: Option<&System>) -> Result<Vec<Waiver>, Failure> {
    let mut waivers = Vec::new();
    for service in system.iter().flat_map(|system| system.services.values()) {
        for process in service.processes.values() {
            let program = format!("{}.{}", service.name, process.name);
            for waiver in &process.audit.waivers {
                let id = waiver.id.parse().map_err(|error: updraft_audit::UnknownProbe| {
                    let failure = Failure::usage(format!(
                        "a waiver of {program} is for `{}`, which is no probe",
                        waiver.id
                    ));
                    match error.nearest() {
                        Some(near) => failure.help(format!("did you mean `{near}`?")),
                        None => failure.help("`updraft explain` lists the probes"),
                    }
                })?;
                let (because, until): (String, Date) = (waiver.because.clone(), waiver.until);
                waivers.push(Waiver { id, because, until, program: Some(program.clone()) });
            }
        }
    }
    Ok(waivers)
}

fn read_earlier(path: &std::path::Path) -> Result<Report, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("cannot read the baseline {}", path.display())).because(&error)
    })?;
    read_baseline(&text).map_err(|error| Failure::from_error(Class::Usage, &error))
}

fn no_lab(error: &LabError) -> Failure {
    Failure::from_error(Class::Environment, error)
}

fn not_built(error: &CannotBuild) -> Failure {
    let class = match error {
        CannotBuild::Build(NotBuilt::Build(_)) => Class::Finding,
        _ => Class::Environment,
    };
    Failure::from_error(class, error)
}
