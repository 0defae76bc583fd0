//! Builds the rules by which processes scale.

use std::time::Duration;

use super::check;
use super::needs;
use super::process::WEB;
use super::references::Index;
use super::report::{Report, known_names};
use super::tree::Tree;
use crate::mesh::Protocol;
use crate::{Name, QueueRule, ScaleRule, Span, Stabilize, Steps};

const EVERY: Duration = Duration::from_secs(5);
const EVERY_LEAST: Duration = Duration::from_millis(100);
/// The longest window, and the longest time between two decisions.
const LONGEST: Duration = Duration::from_hours(1);
/// As Kubernetes has it: more at once, fewer after five minutes.
const UP: Duration = Duration::ZERO;
const DOWN: Duration = Duration::from_mins(5);

/// The rule of a process; `None`: it has a number, or its rule is not sound.
pub(super) fn rule(process: Tree<'_>) -> Option<ScaleRule> {
    process.value("scale")?.get_ref().as_table()?;
    let table = process.table("scale");
    let queue = table.read::<Name>("queue").zip(table.whole("per"));
    let (stabilize, step) = (table.table("stabilize"), table.table("step"));
    Some(ScaleRule {
        min: table.whole("min").unwrap_or(1),
        max: table.whole("max")?,
        cpu: table.read("cpu"),
        concurrency: table.whole("concurrency"),
        queue: queue.map(|(queue, per)| QueueRule { queue, per }),
        every: table.duration("every").unwrap_or(EVERY),
        stabilize: Stabilize {
            up: stabilize.duration("up").unwrap_or(UP),
            down: stabilize.duration("down").unwrap_or(DOWN),
        },
        step: Steps { up: step.whole("up"), down: step.whole("down") },
    })
}

/// Reports what is wrong with the rules of a service's processes.
pub(super) fn check(name: &Name, service: Tree<'_>, index: &Index<'_>, report: &mut Report<'_>) {
    for (process, _, value) in service.table("process").entries() {
        let process_table = Tree::of(value);
        let Some(span) = process_table.value("scale").map(toml::Spanned::span) else { continue };
        let table = process_table.table("scale");
        if table.entries().next().is_none()
            && process_table.value("scale").is_none_or(|it| !it.get_ref().is_table())
        {
            continue;
        }
        loads(table, &span, report);
        bounds(table, report);
        if let Some(span) = table.key_span("concurrency") {
            let serves = process == WEB || process_table.value("version").is_some();
            concurrency(name, process, serves, span, index, report);
        }
        if let Some((queue, span)) = table.text("queue") {
            queue_of(name, service, queue, span, index, report);
        }
    }
}

fn loads(table: Tree<'_>, span: &Span, report: &mut Report<'_>) {
    let has = |key| table.value(key).is_some();
    let nothing = !["cpu", "concurrency", "queue"].into_iter().any(has);
    if nothing && !report.is_damaged() {
        let message = "`scale` does not say which load the number of copies follows";
        let help = "add `cpu = \"70%\"`, `concurrency = 20`, or `queue = \"…\", per = 50`";
        let help = help.to_owned();
        report.add("manifest::missing", span.clone(), message, "no load", help);
    }
    for (key, other, help) in [
        ("queue", "per", "add `per`: jobs for each copy, such as `per = 50`"),
        ("per", "queue", "add `queue`: the queue whose depth counts, or leave `per` out"),
    ] {
        if let (Some(span), false) = (table.key_span(key), has(other) || report.is_damaged()) {
            let message = format!("`{key}` says nothing without `{other}`");
            report.add("manifest::missing", span, message, "alone", help.to_owned());
        }
    }
    if table.whole("min") == Some(0)
        && !has("queue")
        && let Some(span) = table.key_span("min")
    {
        let what = "scaling to zero without a queue, whose depth would wake the process,";
        check::not_built(what, "write `min = 1`", span, report);
    }
}

fn bounds(table: Tree<'_>, report: &mut Report<'_>) {
    if let (Some(max), Some(span)) = (table.whole("max"), table.key_span("max"))
        && let min = table.whole("min").unwrap_or(1)
        && max < min
    {
        let message = format!("`max` is {max}, which is less than `min`, {min}");
        let help = "exchange the two, or raise `max`".to_owned();
        report.add("manifest::out_of_range", span, message, "less than `min`", help);
    }
    let stabilize = table.table("stabilize");
    let spans = [
        (table, "every", EVERY_LEAST),
        (stabilize, "up", Duration::ZERO),
        (stabilize, "down", Duration::ZERO),
    ];
    for (table, key, least) in spans {
        if let Some(given) = table.duration(key)
            && let Some((_, span)) = table.text(key)
            && !given.is_zero()
            && !(least..=LONGEST).contains(&given)
        {
            let (least, most) = (crate::duration::format(least), crate::duration::format(LONGEST));
            let message = format!("`{key}` must be from {least} to {most}");
            let help = "choose a time span within the bounds".to_owned();
            report.add("manifest::out_of_range", span, message, "out of range", help);
        }
    }
}

fn concurrency(
    service: &Name,
    process: &str,
    serves: bool,
    span: Span,
    index: &Index<'_>,
    report: &mut Report<'_>,
) {
    let (what, help) = if index.protocol(service.as_str()) == Protocol::Tcp {
        let what = format!("`{service}` speaks tcp, which has no requests to count");
        (what, "use `cpu` or `queue`, or change `protocol`")
    } else if !serves {
        let what = format!("`{process}` serves no requests, so none are in flight");
        (what, "use `cpu` or `queue`, or call the process that listens on `PORT` `web`")
    } else {
        return;
    };
    report.add("manifest::without_effect", span, what, "no requests", help.to_owned());
}

fn queue_of(
    service: &Name,
    table: Tree<'_>,
    queue: &str,
    span: Span,
    index: &Index<'_>,
    report: &mut Report<'_>,
) {
    match index.resource(queue) {
        Some("queue") if needs::texts(table).any(|need| need.target == queue) => {}
        Some("queue") => {
            let message = format!("`{service}` does not need the queue `{queue}`");
            let help = format!("add \"{queue}\" to its `needs`");
            report.add("manifest::wrong_reference", span, message, "not needed", help);
        }
        Some(kind) if !kind.is_empty() => {
            let message = format!("`{queue}` is of kind `{kind}`, and only a queue has a depth");
            let help = known_names(queue, index.resources_of("queue").collect::<Vec<_>>())
                .unwrap_or_else(|| "add a resource: `jobs = { kind = \"queue\" }`".to_owned());
            report.add("manifest::wrong_reference", span, message, "not a queue", help);
        }
        Some(_) => {}
        None if report.is_damaged() => {}
        None => {
            let message = format!("there is no queue `{queue}`");
            let help = known_names(queue, index.resources_of("queue").collect::<Vec<_>>());
            report.add("manifest::unknown_reference", span, message, "not known", help);
        }
    }
}
