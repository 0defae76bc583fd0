//! `X.keys` and `X.digest`: what runs in the deploys of a system, as their current releases say.
//!
//! Two artefacts are compared where both were built from one commit, with nothing changed beside
//! it, for one kind of machine. Any other pair may differ rightly, so it says nothing.

use std::collections::{BTreeMap, BTreeSet};

use updraft_system::Name;

use super::Tree;
use super::parity::NO_MANIFEST;
use crate::seen::Seen;

/// What runs in one deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy {
    /// Its name.
    pub name: Name,
    /// Its current release.
    pub release: u64,
    /// What runs of each service.
    pub services: BTreeMap<Name, Deployed>,
}

/// What runs of one service in one deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The digest of its artefact.
    pub digest: String,
    /// The commit of its source; `None`: unknown, or the source differed from it.
    pub commit: Option<String>,
    /// The kind of machine that it is for; `None`: unknown.
    pub platform: Option<String>,
    /// The variables that the manifest of the release wants to be set.
    pub required: BTreeSet<String>,
    /// How the variables of today's manifest stand; `None`: they cannot be read.
    pub variables: Option<BTreeMap<String, Variable>>,
}

/// How a variable stands in a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// It is set.
    Set,
    /// It has its default.
    Default,
    /// It is required, and not set.
    Missing,
}

/// `X.keys`: the same variables everywhere.
pub(super) fn keys(tree: &Tree) -> Seen {
    let Some(declared) = &tree.declared else { return Seen::unknown(NO_MANIFEST) };
    let service = declared.system.services.get(&declared.service);
    match service.map(|service| service.config.len()) {
        None => {
            return Seen::unknown(format!("the manifest has no service `{}`", declared.service));
        }
        Some(0) => return Seen::not_applicable("the service declares no configuration"),
        Some(_) => {}
    }
    let deploys = match of_service(&declared.deploys, &declared.service) {
        Ok(deploys) => deploys,
        Err(reason) => return Seen::unknown(reason),
    };
    // Values of this machine may also be in files beside the manifest.
    let others = deploys.into_iter().filter(|(deploy, _)| deploy.name != Name::local());
    let deploys: Vec<_> = others.collect();
    if deploys.len() < 2 {
        return Seen::not_applicable(
            "fewer than two deploys have a release: one manifest declares the keys of all",
        );
    }
    let Some(standing) = standing(&deploys) else {
        return Seen::unknown("the names of what is set are encrypted, and the key is not here");
    };
    let mut wrong: Vec<String> = standing.iter().filter_map(|it| it.lacking()).collect();
    wrong.extend(of_one_program(&deploys));
    if !wrong.is_empty() {
        return Seen::warn(wrong.join("; ")).listing("variables", wrong);
    }
    let loose: Vec<String> = standing.iter().filter_map(|it| it.loose()).collect();
    let told = match loose.is_empty() {
        true => String::new(),
        false => format!("; {}, which has a default elsewhere", loose.join(", ")),
    };
    let names = named(deploys.iter().map(|(deploy, _)| *deploy));
    Seen::pass(format!("the same variables in {names}{told}"))
}

/// `X.digest`: the same artefact everywhere.
pub(super) fn digest(tree: &Tree) -> Seen {
    let Some(declared) = &tree.declared else { return Seen::unknown(NO_MANIFEST) };
    let deploys = match of_service(&declared.deploys, &declared.service) {
        Ok(deploys) => deploys,
        Err(reason) => return Seen::unknown(reason),
    };
    if deploys.len() < 2 {
        return Seen::not_applicable("fewer than two deploys have a release of it");
    }
    let (mut same, mut wrong, mut unclear) = (Vec::new(), Vec::new(), Vec::new());
    for (at, one) in deploys.iter().enumerate() {
        for other in deploys.iter().skip(at + 1) {
            match compared(one.1, other.1) {
                Compared::Same => same.push(named([one.0, other.0])),
                Compared::Versions => {}
                Compared::Unclear(why) => unclear.push((named([one.0, other.0]), why)),
                Compared::Twice(commit) => wrong.push(format!(
                    "{} run two builds of commit {}: {} and {}",
                    named([one.0, other.0]),
                    short(commit),
                    short(&one.1.digest),
                    short(&other.1.digest),
                )),
            }
        }
    }
    if !wrong.is_empty() {
        return Seen::warn(wrong.join("; ")).listing("deploys", wrong);
    }
    if !same.is_empty() {
        return Seen::pass(format!("one artefact in {}", same.join(", and in ")));
    }
    match unclear.first() {
        Some((names, why)) => Seen::unknown(format!("{names} cannot be compared: {why}")),
        None => Seen::not_applicable("the deploys run other versions of it, as they may"),
    }
}

/// What two artefacts are to each other.
enum Compared<'a> {
    /// One and the same.
    Same,
    /// Of two versions, or for two kinds of machines.
    Versions,
    /// They differ, and nobody knows whether they may.
    Unclear(&'static str),
    /// Two builds of one commit.
    Twice(&'a str),
}

fn compared<'a>(one: &'a Deployed, other: &Deployed) -> Compared<'a> {
    if one.digest == other.digest {
        return Compared::Same;
    }
    let (Some(commit), Some(of_other)) = (&one.commit, &other.commit) else {
        return Compared::Unclear("one was built from files that no commit has");
    };
    if commit != of_other {
        return Compared::Versions;
    }
    match (&one.platform, &other.platform) {
        (Some(one), Some(other)) if one == other => Compared::Twice(commit),
        (Some(_), Some(_)) => Compared::Versions,
        _ => Compared::Unclear("nothing tells for which machines they are"),
    }
}

type OfDeploy<'a> = (&'a Deploy, &'a Deployed);

fn of_service<'a>(
    deploys: &'a Result<Vec<Deploy>, String>,
    service: &Name,
) -> Result<Vec<OfDeploy<'a>>, String> {
    let deploys = deploys.as_ref();
    let deploys = deploys.map_err(|reason| format!("the releases cannot be read: {reason}"))?;
    let of = |deploy: &'a Deploy| Some((deploy, deploy.services.get(service)?));
    Ok(deploys.iter().filter_map(of).collect())
}

/// How one variable stands in each deploy.
struct Standing<'a> {
    variable: &'a str,
    set: Vec<&'a Deploy>,
    default: Vec<&'a Deploy>,
    missing: Vec<&'a Deploy>,
}

/// `None`: it cannot be read of some deploy.
fn standing<'a>(deploys: &[OfDeploy<'a>]) -> Option<Vec<Standing<'a>>> {
    let mut all: BTreeMap<&str, Standing<'a>> = BTreeMap::new();
    for (deploy, deployed) in deploys {
        for (variable, how) in deployed.variables.as_ref()? {
            let standing = all.entry(variable).or_insert_with(|| Standing {
                variable,
                set: Vec::new(),
                default: Vec::new(),
                missing: Vec::new(),
            });
            match how {
                Variable::Set => standing.set.push(deploy),
                Variable::Default => standing.default.push(deploy),
                Variable::Missing => standing.missing.push(deploy),
            }
        }
    }
    Some(all.into_values().collect())
}

impl Standing<'_> {
    /// Set here, and missing there.
    fn lacking(&self) -> Option<String> {
        let differs = !self.set.is_empty() && !self.missing.is_empty();
        differs.then(|| {
            let (set, missing) = (named(self.set.clone()), named(self.missing.clone()));
            format!("{} is set in {set} and missing in {missing}", self.variable)
        })
    }

    /// Set here, with its default there.
    fn loose(&self) -> Option<String> {
        let differs = !self.set.is_empty() && !self.default.is_empty();
        differs.then(|| format!("{} is set in {}", self.variable, named(self.set.clone())))
    }
}

/// What releases of one artefact want to be set, where they do not want the same.
fn of_one_program(deploys: &[OfDeploy<'_>]) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for one in deploys {
        for other in deploys.iter().filter(|other| other.1.digest == one.1.digest) {
            let alone = one.1.required.difference(&other.1.required);
            let (in_one, in_other) = (named([one.0]), named([other.0]));
            wrong.extend(alone.map(|variable| {
                format!("{variable} is wanted in {in_one} and not in {in_other}, of one program")
            }));
        }
    }
    wrong.into_iter().collect()
}

fn named<'a>(deploys: impl IntoIterator<Item = &'a Deploy>) -> String {
    let name = |deploy: &Deploy| format!("{} (release {})", deploy.name, deploy.release);
    deploys.into_iter().map(name).collect::<Vec<_>>().join(" and ")
}

/// So much of a digest or a commit as people compare.
fn short(digest: &str) -> &str {
    let digits = digest.rsplit(':').next().unwrap_or(digest);
    digits.get(..12).unwrap_or(digits)
}

#[cfg(test)]
#[path = "deploys_tests.rs"]
mod tests;
