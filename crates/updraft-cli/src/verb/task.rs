//! `updraft task`: runs an admin task in the environment of its service.

use std::io::{self, Write};
use std::str::FromStr;

use clap::Args;
use clap_complete::ArgValueCandidates;
use updraft_system::{LogLine, LogStream, Name, TaskEvent};

use crate::completion;
use crate::control::ControlError;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::output;
use crate::running::Addressed;

/// Run an admin task of a service
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft task orders.migrate
  updraft task orders.export -- --since 2026-01-01

What it writes is shown and also goes to the log as `service.task`; its exit code is
given back. With --json each line of output is one JSON object, and so is its end.")]
pub(crate) struct TaskArgs {
    /// The task: `service.task`
    #[arg(value_name = "SERVICE.TASK")]
    #[arg(add = ArgValueCandidates::new(completion::runnable))]
    task: TaskName,
    /// Arguments behind the task's own command line
    #[arg(last = true, value_name = "ARGS")]
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
    let client = Addressed::find(&global.directory)?.running().await?;
    let TaskName { service, task } = args.task;
    let mut events = client.run_task(&service, &task, args.args).await?;
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
