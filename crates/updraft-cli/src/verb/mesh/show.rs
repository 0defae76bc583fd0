//! `updraft mesh show`: the traffic control in force, held against the manifest.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use updraft_system::Name;
use updraft_system::mesh::{Action, HashBy, Share, Split, Traffic, TrafficRule};

use super::matching;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::running::Addressed;
use crate::table::{Cell, Table};

const TITLES: [&str; 5] = ["SERVICE", "NAME", "WHAT", "MATCH", "ORIGIN"];

/// One service as scripts read it.
#[derive(Serialize)]
struct Shown<'a> {
    service: &'a Name,
    changed: bool,
    traffic: &'a Traffic,
    manifest: &'a Traffic,
}

pub(super) async fn run(global: &Global, only: Option<Name>) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    let graph = client.graph().await?;
    if let Some(service) = &only {
        names::service(&graph, service).map_err(|error| Failure::usage(error.to_string()))?;
    }
    let traffic = client.traffic().await?;
    let all = traffic.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name));
    let all = all.filter_map(|(name, now)| Some((name, now, &graph.services.get(name)?.traffic)));
    if global.json {
        let shown = all.map(|(service, traffic, manifest)| Shown {
            service,
            changed: traffic != manifest,
            traffic,
            manifest,
        });
        output::json_result(&shown.collect::<Vec<_>>())?;
    } else {
        output::result(table(all))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is in force, beside what the manifest says. Services without traffic control are in
/// it, so that it is seen that they have none.
pub(super) fn table<'a>(
    services: impl IntoIterator<Item = (&'a Name, &'a Traffic, &'a Traffic)>,
) -> Table {
    let mut table = Table::new(&TITLES, &[]);
    for (service, now, manifest) in services {
        let mut rows = rows(now, manifest);
        if rows.is_empty() {
            let pale = Style::new().dimmed();
            rows.push([Cell::new("-"), Cell::styled("all versions alike", pale)].into());
        }
        for row in rows {
            table.row(std::iter::once(Cell::new(service.as_str())).chain(row));
        }
    }
    table
}

fn rows(now: &Traffic, manifest: &Traffic) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    let split = |split: &Split, origin| row("split", &split_in_words(split), "", origin);
    match (&now.split, &manifest.split) {
        (Some(one), other) if Some(one) == other.as_ref() => {
            rows.push(split(one, Origin::Manifest))
        }
        (Some(one), _) => rows.push(split(one, Origin::Set)),
        (None, Some(meant)) => rows.push(split(meant, Origin::Off)),
        (None, None) => {}
    }
    let line = |rule: &TrafficRule, origin| {
        let (what, fits) = (action_in_words(&rule.action), matching::in_words(&rule.matches));
        row(rule.name.as_str(), &what, &fits, origin)
    };
    for rule in &now.rules {
        let meant = manifest.rules.contains(rule);
        rows.push(line(rule, if meant { Origin::Manifest } else { Origin::Set }));
    }
    let off = |meant: &&TrafficRule| now.rules.iter().all(|rule| rule.name != meant.name);
    rows.extend(manifest.rules.iter().filter(off).map(|meant| line(meant, Origin::Off)));
    rows
}

/// Where something comes from.
#[derive(Clone, Copy)]
enum Origin {
    Manifest,
    Set,
    Off,
}

fn row(name: &str, what: &str, fits: &str, origin: Origin) -> Vec<Cell> {
    let (word, style) = match origin {
        Origin::Manifest => ("manifest", Style::new()),
        Origin::Set => ("set", AnsiColor::Yellow.on_default()),
        Origin::Off => ("off", Style::new().dimmed()),
    };
    let texts = [name, what, fits].into_iter().map(|text| Cell::styled(text, plain(origin)));
    texts.chain([Cell::styled(word, style)]).collect()
}

fn plain(origin: Origin) -> Style {
    match origin {
        Origin::Off => Style::new().dimmed(),
        Origin::Manifest | Origin::Set => Style::new(),
    }
}

fn split_in_words(split: &Split) -> String {
    let weights: Vec<String> =
        split.weights.iter().map(|(version, weight)| format!("{version}={weight}")).collect();
    let sticky = match &split.sticky {
        Some(HashBy::Header(name)) => format!(", sticky by header {name}"),
        Some(HashBy::Cookie(name)) => format!(", sticky by cookie {name}"),
        None => String::new(),
    };
    format!("{}{sticky}", weights.join(" "))
}

fn action_in_words(action: &Action) -> String {
    let part = |share: &Share| match share.parts() {
        Share::WHOLE => String::new(),
        _ => format!(" of {share}"),
    };
    match action {
        Action::Route(version) => format!("to {version}"),
        Action::Redirect(redirect) => format!("redirect {} to {}", redirect.status, redirect.to),
        Action::Rewrite(rewrite) => format!("rewrite {} to {}", rewrite.from, rewrite.to),
        Action::Mirror(mirror) => format!("copy{} to {}", part(&mirror.share), mirror.to),
        Action::Delay { by, share } => {
            format!("delay{} by {}", part(share), updraft_system::duration::format(*by))
        }
        Action::Abort { status, share } => format!("abort{} with {status}", part(share)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn traffic(value: serde_json::Value) -> Traffic {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_was_changed_stands_out() {
        let manifest = traffic(json!({
            "split": { "weights": { "v41": 100 } },
            "rules": [
                { "name": "beta", "match": { "headers": ["x-beta=1"] }, "route": "v42" },
                { "name": "old", "match": { "path": "/old" }, "redirect": { "to": "/new" } },
            ],
        }));
        let now = traffic(json!({
            "split": { "weights": { "v41": 90, "v42": 10 }, "sticky": "header:x-user" },
            "rules": [
                { "name": "beta", "match": { "headers": ["x-beta=1"] }, "route": "v42" },
                { "name": "slow", "match": { "methods": ["GET"], "callers": ["web"] },
                  "delay": { "by": "300ms", "share": "5%" } },
                { "name": "down", "abort": { "status": 503 } },
                { "name": "copies", "mirror": { "to": "v42", "share": "0.5%" } },
                { "name": "prefix", "rewrite": { "from": "/v1", "to": "/" } },
            ],
        }));
        let (pricing, cart) = ("pricing".parse().unwrap(), "cart".parse().unwrap());
        let none = Traffic::default();
        let text = table([(&cart, &none, &none), (&pricing, &now, &manifest)]).to_string();
        assert!(text.contains("\u{1b}[33mset"), "{text:?}");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }
}
