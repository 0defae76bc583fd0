//! Builds how a service calls what it needs, `[service.X.calls.Y]`.

use std::collections::{BTreeMap, BTreeSet};

use super::needs;
use super::references::Index;
use super::report::{Report, known_names};
use super::tree::{self, Tree};
use crate::mesh::{BreakerPolicy, Calls, Protocol, RetryOn, RetryPolicy};
use crate::{Name, Span};

/// What can only be said of requests.
const OF_REQUESTS: &[&str] = &["timeout", "attempt_timeout", "hop"];

/// The policies that are sound.
pub(super) fn all(
    service: Tree<'_>,
    index: &Index<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<Name, Calls> {
    let mut all = BTreeMap::new();
    for (target, span, value) in service.table("calls").entries() {
        let Ok(name) = target.parse::<Name>() else {
            continue;
        };
        let table = Tree::of(value);
        let Some(protocol) = protocol(target, service, span, index, report) else {
            continue;
        };
        if !protocol.is_http() {
            check_tunnel(target, table, report);
        }
        let calls = calls(table);
        check_times(&calls, table, report);
        check_retry(&calls, table, report);
        all.insert(name, calls);
    }
    all
}

/// What the other end of an edge speaks; `None`: there is no such edge, or nothing is called
/// over it.
fn protocol(
    target: &str,
    service: Tree<'_>,
    span: Span,
    index: &Index<'_>,
    report: &mut Report<'_>,
) -> Option<Protocol> {
    if needs::span(service, target).is_none() {
        if !report.is_damaged() {
            let message = format!("`{target}` is not in `needs`, so it is not called");
            let known: BTreeSet<_> = needs::texts(service).map(|text| text.target).collect();
            let exists = index.is_service(target) || index.resource(target).is_some();
            let help = (!exists).then(|| known_names(target, known.iter().copied())).flatten();
            let help = help.unwrap_or_else(|| format!("add `{target}` to `needs`"));
            report.add("manifest::unknown_reference", span, message, "not needed", help);
        }
        return None;
    }
    match index.resource(target) {
        None => index.is_service(target).then(|| index.protocol(target)),
        Some("postgres" | "redis" | "nats") => Some(Protocol::Tcp),
        Some(kind @ ("sql" | "cache" | "queue" | "blob")) => {
            let message =
                format!("`{target}` is a `{kind}`, which is inside the process: nothing is called");
            let help = format!("remove `calls.{target}`");
            report.add("manifest::wrong_reference", span, message, "never called", help);
            None
        }
        // What kind it is was reported where it is declared.
        Some(_) => None,
    }
}

/// A tunnel carries bytes, so nothing is known of requests in it.
fn check_tunnel(target: &str, table: Tree<'_>, report: &mut Report<'_>) {
    for key in OF_REQUESTS {
        if let Some(span) = table.key_span(key) {
            let message = format!("`{key}` is for requests, and `{target}` speaks tcp");
            let help = format!("leave `{key}` out");
            report.add("manifest::without_effect", span, message, "no requests", help);
        }
    }
    for (on, span) in table.table("retry").texts("on") {
        if tree::read(on).is_some_and(|on: RetryOn| on != RetryOn::Connect) {
            let message = format!("`{on}` is for requests, and `{target}` speaks tcp");
            let help = "write `on = [\"connect\"]`".to_owned();
            report.add("manifest::without_effect", span, message, "no requests", help);
        }
    }
    if let Some((balance, span)) = table.text("balance")
        && balance.contains(':')
    {
        let message = format!("`{target}` speaks tcp, which has no `{balance}`");
        let help = "write \"least-request\" or \"round-robin\"".to_owned();
        report.add("manifest::without_effect", span, message, "no requests", help);
    }
}

fn check_times(calls: &Calls, table: Tree<'_>, report: &mut Report<'_>) {
    if let Some((_, span)) = table.text("attempt_timeout")
        && calls.attempt_timeout.is_some_and(|attempt| calls.timeout < attempt)
    {
        let timeout = crate::duration::format(calls.timeout);
        let message = format!(
            "`attempt_timeout` is longer than `timeout`, which is {timeout} for all attempts"
        );
        let help = "shorten it, or write a longer `timeout`".to_owned();
        report.add("manifest::out_of_range", span, message, "never reached", help);
    }
}

fn check_retry(calls: &Calls, table: Tree<'_>, report: &mut Report<'_>) {
    let retry = table.table("retry");
    let mut known = BTreeSet::new();
    for (on, span) in retry.texts("on") {
        if !known.insert(on) {
            let message = format!("`{on}` is in the list twice");
            let help = "remove one of the two".to_owned();
            report.add("manifest::duplicate", span, message, "here again", help);
        } else if on == "timeout" && calls.attempt_timeout.is_none() {
            let message = "an attempt that has no time of its own never takes too long";
            let help = "add `attempt_timeout`, or leave \"timeout\" out".to_owned();
            report.add("manifest::without_effect", span, message, "never happens", help);
        }
    }
    if let Some(list) = retry.value("on")
        && list.get_ref().as_array().is_some_and(|items| items.is_empty())
    {
        let message = "the list is empty: nothing is tried again";
        let help = "write `retry = false`".to_owned();
        report.add("manifest::without_effect", list.span(), message, "empty", help);
    }
}

fn calls(table: Tree<'_>) -> Calls {
    let plain = Calls::default();
    Calls {
        timeout: table.duration("timeout").unwrap_or(plain.timeout),
        attempt_timeout: table.duration("attempt_timeout"),
        idle: table.duration("idle").unwrap_or(plain.idle),
        retry: retry(table),
        breaker: breaker(table.table("breaker")),
        concurrency: table.whole("concurrency").unwrap_or(plain.concurrency),
        queue: table.whole("queue").unwrap_or(plain.queue),
        rate: table.read("rate"),
        balance: table.read("balance").unwrap_or_default(),
        hop: table.read("hop").unwrap_or_default(),
    }
}

fn retry(calls: Tree<'_>) -> RetryPolicy {
    let plain = RetryPolicy::default();
    if calls.flag("retry") == Some(false) {
        return RetryPolicy { on: BTreeSet::new(), attempts: 1, ..plain };
    }
    let table = calls.table("retry");
    let on = || table.texts("on").filter_map(|(on, _)| tree::read(on)).collect();
    RetryPolicy {
        on: table.value("on").map_or(plain.on, |_| on()),
        attempts: table.whole("attempts").unwrap_or(plain.attempts),
        budget: table.read("budget").unwrap_or(plain.budget),
    }
}

fn breaker(table: Tree<'_>) -> BreakerPolicy {
    let plain = BreakerPolicy::default();
    BreakerPolicy {
        consecutive: table.whole("consecutive").unwrap_or(plain.consecutive),
        failures: table.read("failures").unwrap_or(plain.failures),
        open_for: table.duration("open_for").unwrap_or(plain.open_for),
        at_most: table.read("at_most").unwrap_or(plain.at_most),
    }
}
