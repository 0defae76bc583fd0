//! `updraft task` without a name: which tasks there are, when they run next, and how they
//! ran last; and what the last run of one has written.

use std::process::ExitCode;

use anstyle::AnsiColor;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use updraft_engine::TaskBook;
use updraft_system::{LogLine, LogSelector, Name, TaskRun, TaskStatus, TaskTrigger};

use crate::control::{Client, LogRequest};
use crate::failure::{Class, Failure, Outcome};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::running::Addressed;
use crate::table::{Cell, Table};

const TITLES: [&str; 6] = ["NAME", "SCHEDULE", "NEXT", "RUNS", "LAST", "EXIT"];
/// Columns that hold numbers.
const RIGHT: &[usize] = &[3];

/// Shows all tasks.
pub(super) async fn all(global: &Global, client: &Client) -> Outcome {
    let tasks = client.tasks().await?;
    if global.json {
        output::json_result(&tasks)?;
    } else if tasks.is_empty() {
        output::say("no service has a task");
    } else {
        output::result(table(&tasks, &TimeZone::system()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(tasks: &[TaskStatus], zone: &TimeZone) -> String {
    let mut table = Table::new(&TITLES, RIGHT);
    for task in tasks {
        table.row(cells(task, zone));
    }
    table.to_string()
}

fn cells(task: &TaskStatus, zone: &TimeZone) -> [Cell; 6] {
    let dash = || "-".to_owned();
    let schedule = match (&task.schedule, task.when) {
        (Some(schedule), _) => format!("{} ({})", schedule.every, schedule.timezone),
        (None, TaskTrigger::Release) => "at each release".to_owned(),
        (None, TaskTrigger::Manual) => "by hand".to_owned(),
    };
    let runs = match (task.running, task.waiting) {
        (0, 0) => dash(),
        (running, 0) => running.to_string(),
        (running, waiting) => format!("{running}, {waiting} wait"),
    };
    [
        format!("{}.{}", task.service, task.task).into(),
        schedule.into(),
        task.next.map_or_else(dash, |next| shown(next, zone)).into(),
        runs.into(),
        task.last.as_ref().map_or_else(dash, |last| shown(last.started, zone)).into(),
        exit(task),
    ]
}

fn exit(task: &TaskStatus) -> Cell {
    let Some(last) = &task.last else { return "-".into() };
    match (last.code, &last.reason, last.ended) {
        (Some(0), ..) => Cell::styled("0", AnsiColor::Green.on_default()),
        (Some(code), Some(reason), _) => {
            let text = format!("{code} ({reason})");
            Cell::styled(text, AnsiColor::Red.on_default())
        }
        (None, Some(reason), _) => Cell::styled(reason.clone(), AnsiColor::Red.on_default()),
        _ if 0 < task.running => "runs".into(),
        _ => Cell::styled("cut off with its system", AnsiColor::Red.on_default()),
    }
}

fn shown(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Shows what the last run of a task has written, as it wrote it. Works on a stopped system
/// too, as `logs` does.
pub(super) async fn last(
    global: &Global,
    addressed: &Addressed,
    service: &Name,
    task: &Name,
    show: impl Fn(&LogLine) -> Result<(), Failure>,
) -> Outcome {
    let client = addressed.client().await?;
    let system = match &client {
        Some(client) => client.graph().await?,
        None => addressed.dir.system()?,
    };
    names::task(&system, service, task).map_err(|error| Failure::usage(error.to_string()))?;
    let unread = |error| Failure::from_error(Class::Environment, &error);
    let book = TaskBook::open(&addressed.state).map_err(unread)?;
    let Some(run) = book.last(service, task) else {
        return Err(Failure::finding(format!("{service}.{task} has not run yet"))
            .help(format!("`updraft task {service}.{task}` runs it")));
    };
    let request = LogRequest {
        select: vec![LogSelector {
            service: service.clone(),
            process: Some(task.clone()),
            replica: None,
        }],
        since: Some(run.started),
        grep: None,
        last: None,
        follow: false,
    };
    for_each_line(addressed, client.as_ref(), &request, &run, |line| match global.json {
        true => output::json_line(line),
        false => show(line),
    })
    .await?;
    Ok(ExitCode::from(run.code.unwrap_or_default()))
}

async fn for_each_line(
    addressed: &Addressed,
    client: Option<&Client>,
    request: &LogRequest,
    run: &TaskRun,
    mut show: impl FnMut(&LogLine) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let belongs = |line: &LogLine| run.ended.is_none_or(|ended| line.time <= ended);
    if let Some(client) = client {
        let mut lines = client.logs(request).await?;
        while let Some(line) = lines.next().await? {
            if belongs(&line) {
                show(&line)?;
            }
        }
        return Ok(());
    }
    let query = request.to_engine();
    let query = query.map_err(|error| Failure::from_error(Class::Usage, &error))?;
    let unread = |error| Failure::from_error(Class::Environment, &error);
    let stored = updraft_engine::logs::read_stored(&addressed.state.logs(), &query);
    for line in stored.map_err(unread)? {
        let line = line.map_err(unread)?;
        if belongs(&line) {
            show(&line)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use updraft_system::{TaskCause, TaskMissed, TaskOverlap, TaskSchedule};

    use super::*;

    #[test]
    fn each_task_has_a_row_that_says_when_and_how() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let task = |task: &str| TaskStatus {
            service: "orders".parse().unwrap(),
            task: task.parse().unwrap(),
            when: TaskTrigger::Manual,
            schedule: None,
            next: None,
            running: 0,
            waiting: 0,
            last: None,
        };
        let run = TaskRun {
            cause: TaskCause::Schedule,
            due: at("2026-05-01T01:00:00Z"),
            started: at("2026-05-01T01:00:00Z").unwrap(),
            ended: at("2026-05-01T01:00:09Z"),
            code: Some(0),
            reason: Some("exit code 0".to_owned()),
        };
        let schedule = TaskSchedule {
            every: "0 3 * * *".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            overlap: TaskOverlap::Queue,
            missed: TaskMissed::Once,
        };
        let failed =
            TaskRun { code: Some(3), reason: Some("exit code 3".to_owned()), ..run.clone() };
        let cut = TaskRun { code: None, reason: None, ended: None, ..run.clone() };
        let rows = [
            TaskStatus {
                schedule: Some(schedule),
                next: at("2026-05-02T01:00:00Z"),
                last: Some(run),
                ..task("reindex")
            },
            TaskStatus { when: TaskTrigger::Release, last: Some(failed), ..task("migrate") },
            TaskStatus { running: 1, waiting: 2, last: Some(cut.clone()), ..task("export") },
            TaskStatus { last: Some(cut), ..task("import") },
            task("console"),
        ];
        let table = table(&rows, &TimeZone::UTC);
        insta::assert_snapshot!(anstream::adapter::strip_str(&table).to_string());
    }
}
