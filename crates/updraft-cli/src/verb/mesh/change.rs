//! Changes of the traffic to a service: each reads what is in force, changes one thing, and
//! puts the whole back.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;
use updraft_system::mesh::{
    Action, HashBy, Mirror, Redirect, Rewrite, Share, Split, Traffic, TrafficRule,
};
use updraft_system::{Name, duration};

use super::matching::MatchArgs;
use super::show;
use crate::completion;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::running::Addressed;

/// The name by which `clear` knows the split.
const SPLIT: &str = "split";

/// Spread requests over versions by weight
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft mesh split pricing v41=90 v42=10
  updraft mesh split pricing v41=1 v42=1 --sticky header:x-user

A version that is not named gets nothing. A version is a process type with
`version = \"…\"` in the manifest; that of the process `web` is `web`.")]
pub(super) struct SplitArgs {
    /// The service that is called
    #[arg(add = ArgValueCandidates::new(completion::services))]
    service: Name,
    /// A version and its weight: `VERSION=WEIGHT`
    #[arg(required = true, value_name = "VERSION=WEIGHT")]
    weights: Vec<Weight>,
    /// Requests with the same value stay with one version: `header:NAME` or `cookie:NAME`
    #[arg(long, value_name = "WHERE", value_parser = hash_by)]
    sticky: Option<HashBy>,
}

/// Send some requests to one version
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft mesh route pricing --to v42 --header x-beta=1
  updraft mesh route pricing --name ours --to v42 --from storefront --first

Of the rules that route, rewrite or redirect, the first that fits a request is done. A rule
of the same name is replaced; a new one comes last.")]
pub(super) struct RouteArgs {
    /// The service that is called
    #[arg(add = ArgValueCandidates::new(completion::services))]
    service: Name,
    /// The version
    #[arg(long, value_name = "VERSION")]
    to: Name,
    #[command(flatten)]
    rule: RuleArgs,
}

/// Make some requests slow, or fail
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft mesh fault pricing --delay 300ms --share 5%
  updraft mesh fault pricing --name down --abort 503 --path /quotes/{id}
  updraft mesh clear pricing fault")]
#[command(group = clap::ArgGroup::new("kind").required(true).args(["delay", "abort"]))]
pub(super) struct FaultArgs {
    /// The service that is called
    #[arg(add = ArgValueCandidates::new(completion::services))]
    service: Name,
    /// They wait so long before they are sent
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    delay: Option<Duration>,
    /// They are answered with this status, and never sent
    #[arg(long, value_name = "STATUS")]
    abort: Option<u16>,
    /// Only this part of them
    #[arg(long, value_name = "PERCENT", default_value = "100%")]
    share: Share,
    #[command(flatten)]
    rule: RuleArgs,
}

/// Send a copy of some requests to another version, too
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft mesh mirror pricing --to v42 --share 5% --method GET

Nobody waits for the copy, and its answer is thrown away.")]
pub(super) struct MirrorArgs {
    /// The service that is called
    #[arg(add = ArgValueCandidates::new(completion::services))]
    service: Name,
    /// The version that gets the copies
    #[arg(long, value_name = "VERSION")]
    to: Name,
    /// Only this part of the requests
    #[arg(long, value_name = "PERCENT", default_value = "100%")]
    share: Share,
    #[command(flatten)]
    rule: RuleArgs,
}

/// Change the path of some requests on their way
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft mesh rewrite pricing --prefix /v1 --to /")]
pub(super) struct RewriteArgs {
    /// The service that is called
    #[arg(add = ArgValueCandidates::new(completion::services))]
    service: Name,
    /// The beginning of the path that goes, in whole segments
    #[arg(long, value_name = "PATH")]
    prefix: String,
    /// What stands there instead
    #[arg(long, value_name = "PATH")]
    to: String,
    #[command(flatten)]
    rule: RuleArgs,
}

/// Answer some requests with a redirect
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft mesh redirect pricing --path /old --to /new --status 308")]
pub(super) struct RedirectArgs {
    /// The service that is called
    #[arg(add = ArgValueCandidates::new(completion::services))]
    service: Name,
    /// The new location: a path, or an address by http or https
    #[arg(long, value_name = "LOCATION")]
    to: String,
    /// 301, 302, 303, 307 or 308
    #[arg(long, value_name = "STATUS", default_value_t = 307)]
    status: u16,
    #[command(flatten)]
    rule: RuleArgs,
}

/// Go back to what the manifest says
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft mesh clear pricing              all of it
  updraft mesh clear pricing split        the split alone
  updraft mesh clear pricing down         the rule of this name")]
pub(super) struct ClearArgs {
    /// The service that is called
    #[arg(add = ArgValueCandidates::new(completion::services))]
    service: Name,
    /// A rule, or `split`; everything when it is left out
    name: Option<Name>,
}

/// What every rule takes.
#[derive(Debug, Args)]
pub(super) struct RuleArgs {
    /// What the rule is called in metrics and here; the verb when it is left out
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// Before all other rules
    #[arg(long)]
    first: bool,
    #[command(flatten)]
    matches: MatchArgs,
}

/// A version and its weight.
#[derive(Clone, Debug)]
struct Weight {
    version: Name,
    weight: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("write it as `VERSION=WEIGHT`, such as `v42=10`")]
struct InvalidWeight;

impl FromStr for Weight {
    type Err = InvalidWeight;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let (version, weight) = text.split_once('=')?;
            Some(Self { version: version.parse().ok()?, weight: weight.parse().ok()? })
        };
        parts().ok_or(InvalidWeight)
    }
}

/// In the words of the manifest: `header:x-user`.
fn hash_by(text: &str) -> Result<HashBy, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|error| error.to_string())
}

/// What is to be done to the traffic of a service.
pub(super) struct Change {
    service: Name,
    step: Step,
}

enum Step {
    Split(Split),
    Rule { rule: Box<TrafficRule>, first: bool },
    Clear(Option<Name>),
}

impl SplitArgs {
    pub(super) fn change(self) -> Change {
        let weights = self.weights.into_iter().map(|it| (it.version, it.weight)).collect();
        let split = Split { weights, sticky: self.sticky };
        Change { service: self.service, step: Step::Split(split) }
    }
}

impl RouteArgs {
    pub(super) fn change(self) -> Change {
        self.rule.change(self.service, "route", Action::Route(self.to))
    }
}

impl FaultArgs {
    pub(super) fn change(self) -> Change {
        let share = self.share;
        let action = match (self.delay, self.abort) {
            (_, Some(status)) => Action::Abort { status, share },
            (by, None) => Action::Delay { by: by.unwrap_or_default(), share },
        };
        self.rule.change(self.service, "fault", action)
    }
}

impl MirrorArgs {
    pub(super) fn change(self) -> Change {
        let mirror = Mirror { to: self.to, share: self.share };
        self.rule.change(self.service, "mirror", Action::Mirror(mirror))
    }
}

impl RewriteArgs {
    pub(super) fn change(self) -> Change {
        let rewrite = Rewrite { from: self.prefix, to: self.to };
        self.rule.change(self.service, "rewrite", Action::Rewrite(rewrite))
    }
}

impl RedirectArgs {
    pub(super) fn change(self) -> Change {
        let redirect = Redirect { to: self.to, status: self.status };
        self.rule.change(self.service, "redirect", Action::Redirect(redirect))
    }
}

impl ClearArgs {
    pub(super) fn change(self) -> Change {
        Change { service: self.service, step: Step::Clear(self.name) }
    }
}

impl RuleArgs {
    fn change(self, service: Name, verb: &'static str, action: Action) -> Change {
        let name = self.name.unwrap_or_else(|| named_after(verb));
        let rule = Box::new(TrafficRule { name, matches: self.matches.into(), action });
        Change { service, step: Step::Rule { rule, first: self.first } }
    }
}

#[expect(clippy::expect_used, reason = "verbs are names")]
fn named_after(verb: &'static str) -> Name {
    verb.parse().expect("a verb is a name")
}

pub(super) async fn run(global: &Global, change: Change) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    let Change { service, step } = change;
    let graph = client.graph().await?;
    let manifest = names::service(&graph, &service)
        .map_err(|error| Failure::usage(error.to_string()))?
        .traffic
        .clone();
    let mut traffic = client.traffic().await?;
    let Some(now) = traffic.remove(&service) else {
        return Err(Failure::usage(format!("{service} serves no requests: nothing to control")));
    };
    let changed = step.apply(&manifest, now)?;
    // What is as the manifest says follows the manifest.
    let wanted = (changed != manifest).then_some(&changed);
    client.set_traffic(&service, wanted).await?;
    if global.json {
        output::json_result(&changed)?;
    } else {
        output::result(show::table([(&service, &changed, &manifest)]))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Step {
    fn apply(self, manifest: &Traffic, mut now: Traffic) -> Result<Traffic, Failure> {
        match self {
            Self::Split(split) => now.split = Some(split),
            Self::Rule { rule, first } => place(&mut now.rules, *rule, first),
            Self::Clear(None) => return Ok(manifest.clone()),
            Self::Clear(Some(name)) => clear(manifest, &mut now, &name)?,
        }
        Ok(now)
    }
}

/// A rule of the same name is replaced where it stands.
fn place(rules: &mut Vec<TrafficRule>, rule: TrafficRule, first: bool) {
    let old = rules.iter().position(|known| known.name == rule.name);
    match old {
        Some(at) if !first => rules[at] = rule,
        at => {
            at.map(|at| rules.remove(at));
            rules.insert(if first { 0 } else { rules.len() }, rule);
        }
    }
}

/// Puts back what the manifest says of this name.
fn clear(manifest: &Traffic, now: &mut Traffic, name: &Name) -> Result<(), Failure> {
    let named = |rule: &&TrafficRule| rule.name == *name;
    let meant = manifest.rules.iter().find(named);
    let known = now.rules.iter().any(|rule| rule.name == *name);
    if !known && meant.is_none() && name.as_str() == SPLIT {
        now.split = manifest.split.clone();
        return Ok(());
    }
    match meant {
        Some(rule) => place(&mut now.rules, rule.clone(), false),
        None if known => now.rules.retain(|rule| rule.name != *name),
        None => {
            let known: Vec<&str> = now.rules.iter().map(|rule| rule.name.as_str()).collect();
            let known =
                if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
            return Err(Failure::usage(format!("no rule `{name}`; {known}")));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
