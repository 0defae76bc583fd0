//! Builds the schedules of tasks.

use jiff::Timestamp;
use updraft_cron::{Fields, Times, Zone, zone_names};

use super::report::Report;
use super::tree::Tree;
use crate::{TaskSchedule, nearest};

const UTC: &str = "UTC";

/// The schedule of a task; `None`: it has none.
pub(super) fn schedule(task: Tree<'_>) -> Option<TaskSchedule> {
    Some(TaskSchedule {
        every: task.text("every")?.0.to_owned(),
        timezone: task.text("timezone").map_or(UTC, |(zone, _)| zone).to_owned(),
        overlap: task.read("overlap").unwrap_or_default(),
        missed: task.read("missed").unwrap_or_default(),
    })
}

/// Whether a text is a cron expression of five fields.
pub(super) fn is_expression(text: &str) -> bool {
    Times::check(text, Fields::Five).is_ok()
}

/// Reports what is wrong with the schedules of a service's tasks.
pub(super) fn check(service: Tree<'_>, report: &mut Report<'_>) {
    for (_, _, value) in service.table("task").entries() {
        let task = Tree::of(value);
        zone(task, report);
        fires(task, report);
        alone(task, report);
        exclusive(task, report);
    }
}

fn zone(task: Tree<'_>, report: &mut Report<'_>) {
    let Some((zone, span)) = task.text("timezone") else { return };
    if super::form::looks_like_zone(zone) && !Zone::is_known(zone) {
        let message = format!("there is no time zone `{zone}` in the IANA database");
        let help = match nearest(zone, zone_names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write a name such as \"Europe/Berlin\" or \"UTC\"".to_owned(),
        };
        report.add("manifest::unknown_zone", span, message, "not known", help);
    }
}

/// `0 0 30 2 *` is an expression, and no day is ever like that.
fn fires(task: Tree<'_>, report: &mut Report<'_>) {
    let Some((every, span)) = task.text("every") else { return };
    let Some(zone) = Zone::find(UTC).ok() else { return };
    let times = Times::new(every, Fields::Five, zone);
    if times.is_ok_and(|times| times.next(Timestamp::UNIX_EPOCH).is_none()) {
        let message = format!("\"{every}\" never fires: there is no such day in the calendar");
        let help = "mend the day of the month or the month".to_owned();
        report.add("manifest::invalid_cron", span, message, "never", help);
    }
}

/// What belongs to a schedule says nothing without one.
fn alone(task: Tree<'_>, report: &mut Report<'_>) {
    if task.value("every").is_some() || report.is_damaged() {
        return;
    }
    for key in ["timezone", "overlap", "missed"] {
        if let Some(span) = task.key_span(key) {
            let message = format!("`{key}` is for a task that runs by the calendar");
            let help = format!("add `every = \"0 3 * * *\"`, or leave `{key}` out");
            report.add("manifest::without_effect", span, message, "without `every`", help);
        }
    }
}

fn exclusive(task: Tree<'_>, report: &mut Report<'_>) {
    let release = task.text("when").filter(|(when, _)| *when == "release");
    if let (Some(_), Some(span)) = (&release, task.key_span("every")) {
        let message = "a release task runs when its service starts, not by the calendar";
        let help = "make two tasks with the same `run`".to_owned();
        report.add("manifest::exclusive", span, message, "beside `when`", help);
    }
    let alone = task.value("every").is_some() || release.is_some();
    if let (true, Some(true), Some(span)) = (alone, task.flag("tty"), task.key_span("tty")) {
        let message = "nobody sits at a terminal when this task runs by itself";
        let help = "leave `tty` out".to_owned();
        report.add("manifest::exclusive", span, message, "no terminal", help);
    }
}
