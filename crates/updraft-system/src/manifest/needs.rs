//! Builds the edges of a service. `needs` is all that authorizes a call, so a name stands for
//! everything that its target does, and `name:GET /path` for that operation alone.

use super::check;
use super::process::WEB;
use super::references::Index;
use super::report::{Report, known_names};
use super::scalar;
use super::tree::Tree;
use crate::mesh::Operation;
use crate::{Need, Span, Target, nearest};

/// One entry of `needs` as it is written.
pub(super) struct Text<'a> {
    /// The name before the first `:`.
    pub(super) target: &'a str,
    /// What follows it.
    operation: Option<&'a str>,
    span: Span,
}

/// The entries of `needs`.
pub(super) fn texts(service: Tree<'_>) -> impl Iterator<Item = Text<'_>> {
    service.texts("needs").map(|(text, span)| match text.split_once(':') {
        Some((target, operation)) => Text { target, operation: Some(operation), span },
        None => Text { target: text, operation: None, span },
    })
}

/// The place of the first entry that names `target`.
pub(super) fn span(service: Tree<'_>, target: &str) -> Option<Span> {
    texts(service).find(|text| text.target == target).map(|text| text.span)
}

/// The edges of a service: one for each target, with all its operations.
pub(super) fn all(service: Tree<'_>, index: &Index<'_>, report: &mut Report<'_>) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for text in texts(service) {
        let Some(target) = target(text.target, &text.span, index, report) else {
            continue;
        };
        let operation = match text.operation {
            Some(written) => match operation(&text, written, &target, index, report) {
                Some(operation) => Some(operation),
                None => continue,
            },
            None => None,
        };
        match needs.iter_mut().find(|need| need.target == target) {
            Some(need) => join(need, operation, &text, report),
            None => needs.push(Need { target, only: operation.into_iter().collect() }),
        }
    }
    needs
}

/// Adds to an edge that is there.
fn join(need: &mut Need, operation: Option<Operation>, text: &Text<'_>, report: &mut Report<'_>) {
    let target = text.target;
    match operation {
        Some(operation) if need.only.iter().any(|known| known.same_requests(&operation)) => {
            let message = format!("`{operation}` of `{target}` is in `needs` twice");
            let help = "remove one of the two".to_owned();
            report.add("manifest::duplicate", text.span.clone(), message, "here again", help);
        }
        Some(operation) if !need.only.is_empty() => need.only.push(operation),
        None if need.only.is_empty() => {
            let message = format!("`{target}` is in `needs` twice");
            let help = "remove one of the two".to_owned();
            report.add("manifest::duplicate", text.span.clone(), message, "here again", help);
        }
        _ => {
            let message = format!("`{target}` is in `needs` as a whole and by operation");
            let help = format!("keep `{target}` for all it does, or its operations alone");
            let label = "not together";
            report.add("manifest::exclusive", text.span.clone(), message, label, help);
        }
    }
}

/// The operation of an entry, if the target can have it.
fn operation(
    text: &Text<'_>,
    written: &str,
    target: &Target,
    index: &Index<'_>,
    report: &mut Report<'_>,
) -> Option<Operation> {
    let Text { target: name, span, .. } = text;
    if matches!(target, Target::Resource(_)) {
        if written.parse::<Operation>().is_err() {
            let what = format!("the capability `{written}` of a need");
            check::not_built(&what, &format!("write `{name}`"), span.clone(), report);
        } else {
            refuse(&format!("`{name}` is a resource, which has no operations"), text, report);
        }
        return None;
    }
    if !index.protocol(name).is_http() {
        refuse(&format!("`{name}` speaks tcp, which has no operations"), text, report);
        return None;
    }
    let operation = scalar::operation(written, span, report)?;
    let known = index.operations(name);
    let same = |other: &&str| other.parse().is_ok_and(|other: Operation| other == operation);
    if known.is_empty() || known.iter().any(same) {
        return Some(operation);
    }
    if !report.is_damaged() {
        let message = format!("`{name}` declares no operation `{operation}`");
        let shaped = |other: &&&str| {
            other.parse().is_ok_and(|other: Operation| other.same_requests(&operation))
        };
        let near = known.iter().find(shaped).copied();
        let help = match near.or_else(|| nearest(written, known.iter().copied())) {
            Some(near) => Some(format!("did you mean `{name}:{near}`?")),
            None => known_names(written, known),
        };
        report.add("manifest::unknown_reference", span.clone(), message, "not known", help);
    }
    None
}

fn refuse(message: &str, text: &Text<'_>, report: &mut Report<'_>) {
    let help = format!("write `{}`", text.target);
    let label = "no operations";
    report.add("manifest::wrong_reference", text.span.clone(), message, label, help);
}

fn target(name: &str, span: &Span, index: &Index<'_>, report: &mut Report<'_>) -> Option<Target> {
    if index.resource(name).is_some() {
        return name.parse().ok().map(Target::Resource);
    }
    if !index.is_service(name) {
        if !report.is_damaged() {
            let message = format!("there is no service and no resource `{name}`");
            let help = known_names(name, index.names());
            report.add("manifest::unknown_reference", span.clone(), message, "not known", help);
        }
        return None;
    }
    if !index.has_process(name, WEB) && !report.is_damaged() {
        let message = format!("`{name}` has no process `web`, so that no URL leads to it");
        let help = format!(
            "call the process of `{name}` that listens on `PORT` `web`; to wait for `{name}` \
             use `after`"
        );
        report.add("manifest::nothing_listens", span.clone(), message, "leads nowhere", help);
        return None;
    }
    name.parse().ok().map(Target::Service)
}
