//! `jobs`: looks into the queue, and takes up or removes what is dead.

mod table;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::app::App;
use crate::process::{Kind, Start};
use crate::queue::{JobState, Queue, Retried};
use crate::service::boot::{self, Booted};
use crate::service::{Service, boxed};
use crate::{BoxError, Stop};

/// Jobs that are listed, unless `--limit` says otherwise.
const LISTED: &str = "100";

/// Dead jobs that `retry --all-dead` takes up in one go; it goes on until none is left.
const BATCH: usize = 500;

pub(in crate::service) fn command<A: App>(service: &Service<A>) -> Option<Command> {
    service.enqueues().then(|| {
        let id = || Arg::new("id").value_name("ID").help("The job's id");
        let state = Arg::new("state")
            .long("state")
            .value_parser(["waiting", "leased", "dead", "done"])
            .help("Only jobs in this state");
        let limit = Arg::new("limit")
            .long("limit")
            .default_value(LISTED)
            .value_parser(clap::value_parser!(u32))
            .help("At most so many");
        let queue = Arg::new("queue")
            .long("queue")
            .global(true)
            .value_name("FIELD")
            .help("The field of the queue, where there are several");
        let json = Arg::new("json")
            .long("json")
            .global(true)
            .action(ArgAction::SetTrue)
            .help("One JSON value on standard output");
        let all = Arg::new("all-dead")
            .long("all-dead")
            .action(ArgAction::SetTrue)
            .conflicts_with("id")
            .required_unless_present("id")
            .help("All dead jobs");
        Command::new("jobs")
            .about("Looks into the queue, and takes up or removes what is dead")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .arg(queue)
            .arg(json)
            .subcommand(
                Command::new("ls").about("Lists jobs, the oldest first").args([state, limit]),
            )
            .subcommand(Command::new("show").about("Shows one job").arg(id().required(true)))
            .subcommand(
                Command::new("retry")
                    .about("Takes dead jobs up again, with all their attempts before them")
                    .args([id(), all]),
            )
            .subcommand(
                Command::new("drop")
                    .about("Removes a job that no worker holds")
                    .arg(id().required(true)),
            )
            .subcommand(Command::new("counts").about("Counts the jobs by state"))
    })
}

pub(in crate::service) fn run<A: App>(service: Service<A>, matches: &ArgMatches) -> ExitCode {
    let Booted { telemetry, runtime, platform, parsed, release } =
        match boot::boot::<A>(&service.release, "jobs", Kind::Question) {
            Ok(booted) => booted,
            Err(code) => return code,
        };
    let matches = matches.clone();
    boot::run(release, telemetry, runtime, platform, move |context| {
        Start::Task(boxed(async move {
            let attaching = service.attaching(&context);
            let _app = A::attach(parsed, &attaching).await?;
            let field = matches.get_one::<String>("queue").map(String::as_str);
            let queue = attaching.queue(field).ok_or_else(|| no_queue(field))?;
            let text = answer(&queue, &matches, &context.stop()).await?;
            // With nobody there to read it, the exit code has to do.
            drop(std::io::stdout().write_all(text.as_bytes()));
            Ok(())
        }))
    })
}

fn no_queue(field: Option<&str>) -> String {
    match field {
        Some(field) => format!("there is no queue `{field}`"),
        None => "there are several queues: say which with --queue FIELD".to_owned(),
    }
}

/// What the verb prints.
async fn answer(queue: &Queue, matches: &ArgMatches, stop: &Stop) -> Result<String, BoxError> {
    let json = matches.get_flag("json");
    match matches.subcommand() {
        Some(("ls", matches)) => {
            let state = matches.get_one::<String>("state").and_then(|it| JobState::parse(it));
            let limit = matches.get_one::<u32>("limit").copied().unwrap_or_default();
            let most = usize::try_from(limit)?;
            let jobs = queue.list(state, most).await?;
            Ok(if json { table::json_of_all(&jobs)? } else { table::list(&jobs) })
        }
        Some(("show", matches)) => {
            let id = id_of(matches)?;
            let job = queue.find(id).await?.ok_or_else(|| none(id))?;
            Ok(if json { table::json_of(&job)? } else { table::one(&job) })
        }
        Some(("retry", matches)) => retry(queue, matches, json, stop).await,
        Some(("drop", matches)) => {
            let id = id_of(matches)?;
            if !queue.remove(id).await? {
                return Err(format!("there is no job `{id}` that waits or is dead").into());
            }
            Ok(told("removed", 1, json))
        }
        Some(("counts", _)) => {
            let counts = queue.counts().await?;
            Ok(if json { serde_json::to_string(&counts)? + "\n" } else { table::counts(counts) })
        }
        _ => Err("no such question".into()),
    }
}

async fn retry(
    queue: &Queue,
    matches: &ArgMatches,
    json: bool,
    stop: &Stop,
) -> Result<String, BoxError> {
    if !matches.get_flag("all-dead") {
        let id = id_of(matches)?;
        return match queue.retry(id).await? {
            Retried::Waiting => Ok(told("taken up", 1, json)),
            Retried::NotDead => Err(format!("there is no dead job `{id}`").into()),
            Retried::Occupied => {
                Err(format!("another job with the unique key of `{id}` waits or runs").into())
            }
        };
    }
    let mut taken_up = 0;
    loop {
        let dead = queue.list(Some(JobState::Dead), BATCH).await?;
        let mut moved = 0;
        for job in &dead {
            if stop.is_requested() {
                return Err(format!("stopped after {taken_up} jobs").into());
            }
            moved += u64::from(queue.retry(job.id()).await? == Retried::Waiting);
        }
        taken_up += moved;
        // What is left stays dead: its keys are taken.
        if moved == 0 {
            return Ok(told("taken up", taken_up, json));
        }
    }
}

fn id_of(matches: &ArgMatches) -> Result<&str, BoxError> {
    Ok(matches.get_one::<String>("id").map(String::as_str).ok_or("an id is needed")?)
}

fn none(id: &str) -> String {
    format!("there is no job `{id}`: it is done, or never was")
}

fn told(what: &str, jobs: u64, json: bool) -> String {
    match json {
        true => format!("{}\n", serde_json::json!({ "jobs": jobs })),
        false => format!("{jobs} {what}\n"),
    }
}
