//! `updraft roll-out`: replaces what runs by what the manifest and the sources are now.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;
use updraft_system::{
    Name, PlannedProcess, PlannedService, RollOutEnd, RollOutEvent, RollOutOutcome, RollOutPlan,
    RollOutRequest, RollOutStep, ServiceChange, Way,
};

use crate::completion;
use crate::control::{Client, ControlError};
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::output;
use crate::progress::Progress;
use crate::running::Addressed;

/// Build what has changed, and replace what runs by it without losing a request
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft roll-out                     everything that has changed
  updraft roll-out orders pricing      these services only
  updraft roll-out --plan              what would be done, and what cannot roll
  updraft roll-out --deadline 5m       all of it within five minutes, or nothing

Release tasks come first; then new programs start beside the old ones, prove that they
are and stay ready, and take over. When one does not, the old ones go on, and what was
replaced already goes back. A process with `roll = \"exclusive\"` stops before it starts.
Ctrl-C stops watching; the roll-out goes on.

Exit code 0: the new runs, or nothing had changed; 1: it failed, and what ran before runs
on; 2: the manifest is wrong; 4: this machine lacks something. With --json each event is
one JSON object.")]
pub(crate) struct RollOutArgs {
    /// Services; all when none is named
    #[arg(value_name = "SERVICE")]
    #[arg(add = ArgValueCandidates::new(completion::services))]
    services: Vec<Name>,
    /// Only show what would be done; what has changed is built for that
    #[arg(long)]
    plan: bool,
    /// Replace what has not changed as well
    #[arg(long)]
    all: bool,
    /// How long all of it may take, from now on
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = time)]
    deadline: Duration,
}

fn time(text: &str) -> Result<Duration, String> {
    updraft_system::duration::parse(text).map_err(|error| error.to_string())
}

pub(crate) async fn run(global: &Global, args: RollOutArgs) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    let request = RollOutRequest {
        services: args.services,
        plan: args.plan,
        all: args.all,
        deadline_ms: u64::try_from(args.deadline.as_millis()).ok(),
        release: None,
    };
    let mut events = client.roll_out(&request).await?;
    let mut progress = Progress::start(global.json);
    while let Some(event) = events.next().await? {
        if let RollOutEvent::Refused(problem) = event {
            progress.clear();
            return Err(problem.into());
        }
        if global.json {
            output::json_line(&event)?;
        }
        match event {
            RollOutEvent::Preparing(text) => progress.show(&text),
            RollOutEvent::Plan(plan) if args.plan => {
                progress.clear();
                if !global.json {
                    output::result(in_words(&plan).trim_end())?;
                }
                return Ok(ExitCode::SUCCESS);
            }
            RollOutEvent::Plan(plan) if !global.json => warn(&mut progress, &plan),
            RollOutEvent::Step(step) => show(&mut progress, step),
            RollOutEvent::Ended(end) => {
                progress.clear();
                return told(global, end);
            }
            RollOutEvent::Plan(_) | RollOutEvent::Refused(_) => {}
        }
    }
    Err(ControlError::Gone(None).into())
}

/// Names what cannot roll, before any of it stops.
fn warn(progress: &mut Progress, plan: &RollOutPlan) {
    let processes = plan.services.iter().flat_map(|service| {
        let exclusive = service.processes.iter().filter(|it| it.way == Way::Exclusive);
        exclusive.map(move |it| cannot_roll(service, it))
    });
    for warning in processes {
        progress.pause(|| output::say(&warning));
    }
}

fn cannot_roll(service: &PlannedService, process: &PlannedProcess) -> String {
    let name = format!("{}.{}", service.service, process.process);
    let gap = match process.gap_ms {
        Some(gap) => format!("for about {:?}", Duration::from_millis(gap)),
        None => "until it is ready again".to_owned(),
    };
    format!("{name} cannot roll: it stops first, then starts; it is not there {gap}")
}

/// Replaces what runs by a release, and waits until that is done.
pub(crate) async fn to_release(client: &Client, number: u64, json: bool) -> Result<(), Failure> {
    let request = RollOutRequest { release: Some(number), ..RollOutRequest::default() };
    let mut events = client.roll_out(&request).await?;
    let mut progress = Progress::start(json);
    while let Some(event) = events.next().await? {
        match event {
            RollOutEvent::Refused(problem) => return Err(problem.into()),
            RollOutEvent::Preparing(text) => progress.show(&text),
            RollOutEvent::Plan(plan) => warn(&mut progress, &plan),
            RollOutEvent::Step(step) => show(&mut progress, step),
            RollOutEvent::Ended(end) => {
                progress.clear();
                output::say(judged(end)?);
                return Ok(());
            }
        }
    }
    Err(ControlError::Gone(None).into())
}

fn show(progress: &mut Progress, step: RollOutStep) {
    let detail = step.detail.map(|it| format!(": {it}")).unwrap_or_default();
    progress.show(&format!("rolling-out {} {}{detail}", step.source, step.state));
}

fn told(global: &Global, end: RollOutEnd) -> Outcome {
    let said = judged(end)?;
    if !global.json {
        output::say(said);
    }
    Ok(ExitCode::SUCCESS)
}

/// How it went, in words.
fn judged(end: RollOutEnd) -> Result<String, Failure> {
    let took = Duration::from_millis(end.took_ms).as_secs_f64();
    let reason = end.reason.unwrap_or_default();
    let lines: String = end.lines.iter().map(|line| format!("\n  {line}")).collect();
    Ok(match end.outcome {
        RollOutOutcome::Done => format!("rolled out in {took:.1} s"),
        RollOutOutcome::Unchanged => "nothing has changed".to_owned(),
        RollOutOutcome::RolledBack => {
            let message = format!("the roll-out failed: {reason}{lines}");
            return Err(Failure::finding(message)
                .help("what ran before runs on; `updraft logs` has all lines"));
        }
        RollOutOutcome::Broken => {
            let message = format!("the roll-out failed half way: {reason}{lines}");
            return Err(Failure::finding(message).help("`updraft ps` shows what runs now"));
        }
    })
}

fn in_words(plan: &RollOutPlan) -> String {
    let mut text = String::new();
    for service in &plan.services {
        let change = match service.change {
            ServiceChange::Same if service.processes.is_empty() => "stays".to_owned(),
            ServiceChange::Same | ServiceChange::Changed if service.reason.is_empty() => {
                "changes".to_owned()
            }
            ServiceChange::Same | ServiceChange::Changed => format!("changes: {}", service.reason),
            ServiceChange::Added => "is new".to_owned(),
            ServiceChange::Removed => "goes".to_owned(),
        };
        text.push_str(&format!("{} {change}\n", service.service));
        for task in &service.tasks {
            text.push_str(&format!("  task {task} runs first\n"));
        }
        for process in &service.processes {
            text.push_str(&format!("  {}\n", way_in_words(service, process)));
        }
    }
    text
}

fn way_in_words(service: &PlannedService, process: &PlannedProcess) -> String {
    let PlannedProcess { process: name, replicas, way, .. } = process;
    match way {
        Way::Beside => format!("{name}: {replicas} replaced, each by one that starts beside it"),
        Way::Exclusive => cannot_roll(service, process),
        Way::Start => format!("{name}: {replicas} run then"),
        Way::Stop => format!("{name}: {replicas} remain"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_in_words_names_what_changes_and_what_cannot_roll() {
        let process = |name: &str, way, gap_ms| PlannedProcess {
            process: name.parse().unwrap(),
            replicas: 2,
            way,
            gap_ms,
        };
        let service = |name: &str, change, reason: &str, processes| PlannedService {
            service: name.parse().unwrap(),
            change,
            reason: reason.to_owned(),
            tasks: vec!["migrate".parse().unwrap()],
            processes,
        };
        let plan = RollOutPlan {
            release: None,
            services: vec![
                service(
                    "orders",
                    ServiceChange::Changed,
                    "its programs have changed",
                    vec![
                        process("web", Way::Beside, None),
                        process("clock", Way::Exclusive, Some(1200)),
                        process("writer", Way::Exclusive, None),
                    ],
                ),
                service("old", ServiceChange::Removed, "", vec![process("web", Way::Stop, None)]),
                PlannedService {
                    tasks: Vec::new(),
                    ..service("same", ServiceChange::Same, "", Vec::new())
                },
            ],
        };
        insta::assert_snapshot!(in_words(&plan));
    }
}
