//! `updraft task`: runs an admin task in the environment of its service.

mod list;
mod terminal;

use std::io::{self, Write};
use std::str::FromStr;

use clap::Args;
use clap_complete::ArgValueCandidates;
use updraft_system::release::ReleaseNumber;
use updraft_system::{LogLine, LogStream, Name, TaskEvent, TaskRequest};

use crate::completion;
use crate::control::{Client, ControlError};
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::running::Addressed;

/// Run an admin task of a service, or show all tasks
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft task                     which tasks there are, when they run, and how they ended
  updraft task orders.migrate
  updraft task orders.export -- --since 2026-01-01
  updraft task --tty orders.shell  talk with it at this terminal
  updraft task --last orders.reindex
  updraft task orders.export --release 41

What it writes is shown and also goes to the log as `service.task`; its exit code is
given back. With --json each line of output is one JSON object, and so is its end.
With a terminal nothing goes to the log, and Ctrl-C goes to the task.")]
pub(crate) struct TaskArgs {
    /// The task: `service.task`; without it all tasks are shown
    #[arg(value_name = "SERVICE.TASK")]
    #[arg(add = ArgValueCandidates::new(completion::runnable))]
    task: Option<TaskName>,
    /// Run it at this terminal, as those with `tty = true` always do
    #[arg(long, requires = "task", conflicts_with = "last")]
    tty: bool,
    /// Show what its last run has written, and give back how that ended; runs nothing
    #[arg(long, requires = "task", conflicts_with = "args")]
    last: bool,
    /// Run the task of this release instead of that of what runs
    #[arg(long, value_name = "N", requires = "task", conflicts_with_all = ["tty", "last"])]
    release: Option<ReleaseNumber>,
    /// Arguments behind the task's own command line
    #[arg(last = true, value_name = "ARGS", requires = "task")]
    args: Vec<String>,
}

#[derive(Clone, Debug)]
struct TaskName {
    service: Name,
    task: Name,
}

#[derive(Debug, thiserror::Error)]
#[error("write it as `service.task`, such as `orders.migrate`")]
struct InvalidTaskName;

impl FromStr for TaskName {
    type Err = InvalidTaskName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (service, task) = text.split_once('.').ok_or(InvalidTaskName)?;
        match (service.parse(), task.parse()) {
            (Ok(service), Ok(task)) => Ok(Self { service, task }),
            _ => Err(InvalidTaskName),
        }
    }
}

pub(crate) async fn run(global: &Global, args: TaskArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let Some(TaskName { service, task }) = args.task else {
        return list::all(global, &addressed.running().await?).await;
    };
    if args.last {
        return list::last(global, &addressed, &service, &task, show).await;
    }
    let client = addressed.running().await?;
    if let Some(number) = args.release {
        let request = TaskRequest { args: args.args, release: Some(number.get()) };
        return follow(global, &client, (&service, &task), request).await;
    }
    let graph = client.graph().await?;
    names::task(&graph, &service, &task).map_err(|error| Failure::usage(error.to_string()))?;
    let declared = graph.services.get(&service).and_then(|it| it.tasks.get(&task));
    if args.tty || declared.is_some_and(|task| task.tty) {
        if global.json {
            return Err(Failure::usage(format!(
                "{service}.{task} at a terminal has no output in JSON; leave --json out"
            )));
        }
        if !terminal::is_there() {
            let message = format!("{service}.{task} wants a terminal, and this is none");
            return Err(Failure::usage(message).help(
                "run it where a person sits, without redirecting standard input and output",
            ));
        }
        return terminal::run(&client, &service, &task, args.args).await;
    }
    let request = TaskRequest { args: args.args, release: None };
    follow(global, &client, (&service, &task), request).await
}

/// Runs a task without a terminal, and shows what it writes.
async fn follow(
    global: &Global,
    client: &Client,
    (service, task): (&Name, &Name),
    request: TaskRequest,
) -> Outcome {
    let mut events = client.run_task(service, task, &request).await?;
    while let Some(event) = events.next().await? {
        match event {
            TaskEvent::Refused(problem) => return Err(problem.into()),
            TaskEvent::Line(line) if !global.json => show(&line)?,
            TaskEvent::Exit { code, reason } if !global.json => {
                if code != 0 {
                    output::say(format!("{service}.{task} failed: {reason}"));
                }
                return Ok(code.into());
            }
            event => {
                output::json_line(&event)?;
                if let TaskEvent::Exit { code, .. } = event {
                    return Ok(code.into());
                }
            }
        }
    }
    Err(ControlError::Gone(None).into())
}

/// As the task wrote it: whoever reads a task's output wants nothing of ours in it.
fn show(line: &LogLine) -> Result<(), Failure> {
    let end = if line.partial { "" } else { "\n" };
    let written = match line.stream {
        LogStream::Stdout => whole(io::stdout().lock(), &line.line, end),
        LogStream::Stderr => whole(io::stderr().lock(), &line.line, end),
        LogStream::Updraft => {
            output::say(&line.line);
            Ok(())
        }
    };
    written.map_err(|error| output::unwritten(&error))
}

fn whole(mut out: impl Write, line: &str, end: &str) -> io::Result<()> {
    write!(out, "{line}{end}")?;
    out.flush()
}
