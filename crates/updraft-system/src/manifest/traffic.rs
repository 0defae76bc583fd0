//! Builds where the requests to a service go, `[service.X.traffic]`.

use std::collections::{BTreeMap, BTreeSet};

use super::process::WEB;
use super::references::Index;
use super::report::{Report, known_names};
use super::tree::{self, Tree};
use crate::mesh::{
    Action, HeaderMatch, Matches, Mirror, Redirect, Rewrite, Share, Split, Traffic, TrafficRule,
};
use crate::{Name, Span};

/// What the rule is called that `mirror` is short for.
const MIRROR: &str = "mirror";
/// The status of a redirect that does not say one: the method stays (RFC 9110, 15.4.8).
const REDIRECT_STATUS: u16 = 307;

/// Where one service stands among the others.
struct Scope<'a> {
    name: &'a str,
    index: &'a Index<'a>,
    versions: Vec<&'a str>,
}

/// The traffic control of a service.
pub(super) fn traffic<'a>(
    name: &'a str,
    service: Tree<'a>,
    index: &'a Index<'a>,
    report: &mut Report<'_>,
) -> Traffic {
    let scope = Scope { name, index, versions: versions(service) };
    let table = service.table("traffic");
    if !index.protocol(name).is_http() {
        check_tunnel(name, table, report);
    }
    let mut rules = Vec::new();
    let mut names: BTreeSet<Name> = BTreeSet::new();
    if let Some(value) = table.value("mirror") {
        let rule = scope.mirror(Tree::of(value), report);
        names.extend(rule.as_ref().map(|rule| rule.name.clone()));
        rules.extend(rule);
    }
    let items = table.value("rules").and_then(|value| value.get_ref().as_array());
    for (position, value) in items.into_iter().flat_map(|items| items.iter()).enumerate() {
        let Some(rule) = scope.rule(position + 1, Tree::of(value), report) else {
            continue;
        };
        if names.insert(rule.name.clone()) {
            rules.push(rule);
        } else {
            let message = format!("there is a rule `{}` already", rule.name);
            let span = Tree::of(value).text("name").map_or_else(|| value.span(), |(_, span)| span);
            let help = "give it another `name`".to_owned();
            report.add("manifest::duplicate", span, message, "the same name", help);
        }
    }
    Traffic { split: scope.split(table, report), rules }
}

/// The versions of a service: those of its process types, and `web` for that process if it
/// has none.
fn versions(service: Tree<'_>) -> Vec<&str> {
    let processes = service.table("process");
    let short = service.value("run").map(|_| WEB);
    let named = processes.entries().filter_map(|(name, _, value)| {
        let version = Tree::of(value).text("version").map(|(version, _)| version);
        version.or((name == WEB).then_some(WEB))
    });
    let mut versions: Vec<_> = short.into_iter().chain(named).collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// A split of connections is all that can be done to bytes.
fn check_tunnel(name: &str, table: Tree<'_>, report: &mut Report<'_>) {
    for key in ["sticky", "mirror", "rules"] {
        if let Some(span) = table.key_span(key) {
            let message = format!("`{key}` is for requests, and `{name}` speaks tcp");
            let help = format!("leave `{key}` out");
            report.add("manifest::without_effect", span, message, "no requests", help);
        }
    }
}

impl Scope<'_> {
    fn version(&self, version: &str, span: Span, report: &mut Report<'_>) {
        // A text that is no name was reported as that.
        let named = version.parse::<Name>().is_ok();
        if named && !self.versions.contains(&version) && !report.is_damaged() {
            let message = format!("`{}` has no version `{version}`", self.name);
            let help = match self.versions.as_slice() {
                [] => Some(format!("give one of its processes `version = \"{version}\"`")),
                versions => known_names(version, versions.iter().copied()),
            };
            report.add("manifest::unknown_reference", span, message, "not known", help);
        }
    }

    fn split(&self, table: Tree<'_>, report: &mut Report<'_>) -> Option<Split> {
        let sticky = table.read("sticky");
        let Some(value) = table.value("split") else {
            if let Some(span) = table.key_span("sticky") {
                let message = "there is no `split` to be kept to";
                let help = "add `split`, or leave `sticky` out; to keep to an endpoint use \
                            `balance` of the caller";
                report.add("manifest::without_effect", span, message, "no split", help.to_owned());
            }
            return None;
        };
        let split = Tree::of(value);
        for (version, span, _) in split.entries() {
            self.version(version, span, report);
        }
        let weights: BTreeMap<Name, u32> = split
            .named()
            .filter_map(|(version, weight)| Some((version, tree::whole(weight)?)))
            .collect();
        let written = split.entries().count();
        if weights.values().all(|weight| *weight == 0)
            && weights.len() == written
            && value.get_ref().is_table()
        {
            let message = "all weights are 0, so that no version would get requests";
            let help = "give one version a weight, such as `v1 = 100`".to_owned();
            report.add("manifest::out_of_range", value.span(), message, "nobody", help);
        }
        Some(Split { weights, sticky })
    }

    fn mirror(&self, table: Tree<'_>, report: &mut Report<'_>) -> Option<TrafficRule> {
        let (to, span) = table.text("to")?;
        self.version(to, span, report);
        let action = Action::Mirror(Mirror { to: to.parse().ok()?, share: share(table) });
        let matches = self.matches(table.table("match"), report);
        Some(TrafficRule { name: MIRROR.parse().ok()?, matches, action })
    }

    fn rule(&self, number: usize, table: Tree<'_>, report: &mut Report<'_>) -> Option<TrafficRule> {
        let matches = self.matches(table.table("match"), report);
        let action = self.action(table, report)?;
        let shared =
            matches!(action, Action::Delay { .. } | Action::Abort { .. } | Action::Mirror(_));
        if let (Some(span), false) = (table.key_span("share"), shared) {
            let message = "a rule that leads elsewhere is for all requests that match";
            let help = "leave `share` out; for a part of the requests use `split`".to_owned();
            report.add("manifest::without_effect", span, message, "not for this rule", help);
        }
        if let (Some(span), false) = (table.key_span("status"), is_redirect(&action)) {
            let message = "only a redirect has a `status`";
            let help = "leave it out; an answer without the service is `abort = 503`".to_owned();
            report.add("manifest::without_effect", span, message, "not for this rule", help);
        }
        let name = match table.text("name") {
            Some((name, _)) => name.parse().ok()?,
            None => format!("rule-{number}").parse().ok()?,
        };
        Some(TrafficRule { name, matches, action })
    }

    fn action(&self, table: Tree<'_>, report: &mut Report<'_>) -> Option<Action> {
        let status = |key| table.whole(key).and_then(|status| u16::try_from(status).ok());
        if let Some((version, span)) = table.text("route") {
            self.version(version, span, report);
            return version.parse().ok().map(Action::Route);
        }
        if let Some((version, span)) = table.text("mirror") {
            self.version(version, span, report);
            let to = version.parse().ok()?;
            return Some(Action::Mirror(Mirror { to, share: share(table) }));
        }
        if let Some(by) = table.duration("delay") {
            return Some(Action::Delay { by, share: share(table) });
        }
        if let Some(status) = status("abort") {
            return Some(Action::Abort { status, share: share(table) });
        }
        if let Some((to, _)) = table.text("redirect") {
            let status = status("status").unwrap_or(REDIRECT_STATUS);
            return Some(Action::Redirect(Redirect { to: to.to_owned(), status }));
        }
        let rewrite = table.table("rewrite");
        let (from, to) = (rewrite.text("from")?.0.to_owned(), rewrite.text("to")?.0.to_owned());
        Some(Action::Rewrite(Rewrite { from, to }))
    }

    fn matches(&self, table: Tree<'_>, report: &mut Report<'_>) -> Matches {
        for (caller, span) in table.one_or_more("from") {
            self.caller(caller, span, report);
        }
        let callers = table.one_or_more("from").filter_map(|(caller, _)| caller.parse().ok());
        let headers = table.one_or_more("header");
        Matches {
            methods: table.one_or_more("method").map(|(method, _)| method.to_owned()).collect(),
            path: table.text("path").and_then(|(path, _)| path.parse().ok()),
            headers: headers.map(|(header, _)| HeaderMatch::from(header.to_owned())).collect(),
            callers: callers.collect(),
        }
    }

    /// A caller must be a service that has an edge to this one, or the rule is for nobody.
    fn caller(&self, caller: &str, span: Span, report: &mut Report<'_>) {
        if caller.parse::<Name>().is_err() || report.is_damaged() {
            return;
        }
        if !self.index.is_service(caller) {
            let message = format!("there is no service `{caller}`");
            let help = known_names(caller, self.index.service_names());
            report.add("manifest::unknown_reference", span, message, "not known", help);
        } else if !self.index.needs(caller, self.name) {
            let message = format!("`{caller}` does not call `{}`", self.name);
            let help = format!("add `{}` to `needs` of `{caller}`", self.name);
            report.add("manifest::wrong_reference", span, message, "never calls", help);
        }
    }
}

fn is_redirect(action: &Action) -> bool {
    matches!(action, Action::Redirect(_))
}

fn share(table: Tree<'_>) -> Share {
    table.read("share").unwrap_or(Share::percent(100))
}
