//! What is true of the programs of the zoo, as `zoo/truth.toml` and `zoo/systems.toml` say it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::repository;

/// Every verdict that a report knows.
const VERDICTS: [&str; 8] =
    ["pass", "info", "not_applicable", "waived", "warn", "flaky", "unknown", "fail"];

/// All programs, and which verdicts there must be programs for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zoo {
    /// By probe: the verdicts that it can give, with blanks between them.
    #[serde(skip)]
    pub verdicts: BTreeMap<String, String>,
    /// The programs.
    pub program: Vec<Program>,
}

/// One run of `updraft check`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its name in the zoo.
    pub name: String,
    /// The files it is made of, below `zoo/`; they lie beside each other.
    #[serde(default)]
    pub files: Vec<String>,
    /// Other names for some of them.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Whether packages of npm lie beside them.
    #[serde(default)]
    pub modules: bool,
    /// Whether its folder is under version control, with all that is in it.
    #[serde(default)]
    pub git: bool,
    /// Whether it is audited in a network in which somebody is beside loopback.
    #[serde(default)]
    pub outside: bool,
    /// The command; `None`: there is a manifest.
    pub run: Option<String>,
    /// A manifest below `zoo/`.
    pub manifest: Option<String>,
    /// Further words of `updraft check`.
    #[serde(default)]
    pub options: Vec<String>,
    /// What is true, by probe.
    pub truth: BTreeMap<String, String>,
}

/// What is true of one program in the eyes of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// `SERVICE.PROCESS`; `None`: every program of the run.
    pub of: Option<String>,
    /// The probe.
    pub probe: String,
    /// `child` or `pid1`; `None`: as whatever it runs.
    pub shape: Option<String>,
    /// The verdicts that are right.
    pub verdicts: Vec<String>,
    /// Why.
    pub because: String,
}

impl Zoo {
    /// Reads it.
    pub fn read() -> Result<Self> {
        let mut zoo: Self = toml::from_str(&file("truth.toml")?).context("truth.toml")?;
        let systems: Self = toml::from_str(&file("systems.toml")?).context("systems.toml")?;
        zoo.program.extend(systems.program);
        zoo.verdicts = toml::from_str(&file("verdicts.toml")?).context("verdicts.toml")?;
        let names: BTreeSet<_> = zoo.program.iter().map(|program| &program.name).collect();
        ensure!(names.len() == zoo.program.len(), "two programs have one name");
        for program in &zoo.program {
            program.truths().with_context(|| program.name.clone())?;
        }
        Ok(zoo)
    }

    /// The programs that have exactly this verdict, by their names.
    pub fn with(&self, probe: &str, verdict: &str) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for program in &self.program {
            for truth in program.truths()? {
                if truth.probe != probe || truth.verdicts != [verdict] {
                    continue;
                }
                let others = program.processes_without_own(probe)?;
                let of = truth.of.map_or(others, |of| vec![of]);
                found.extend(of.iter().map(|of| format!("{} {of}", program.name)));
            }
        }
        Ok(found)
    }
}

impl Program {
    /// What is true of it.
    pub fn truths(&self) -> Result<Vec<Truth>> {
        self.truth.iter().map(|(key, text)| Truth::parse(key, text)).collect()
    }

    /// The processes about which nothing special is true for a probe. Without a manifest there
    /// is one, and its name does not matter.
    fn processes_without_own(&self, probe: &str) -> Result<Vec<String>> {
        let Some(manifest) = &self.manifest else { return Ok(vec![String::new()]) };
        let manifest: toml::Table = toml::from_str(&file(manifest)?).context("a manifest")?;
        let services = manifest.get("service").and_then(toml::Value::as_table);
        let names = services.into_iter().flat_map(toml::Table::keys);
        let mut names: Vec<_> = names.map(|name| format!("{name}.web")).collect();
        let own: Vec<_> = self.truths()?.into_iter().filter(|truth| truth.probe == probe).collect();
        names.retain(|name| own.iter().all(|truth| truth.of.as_ref() != Some(name)));
        Ok(names)
    }

    /// The probes that it is about.
    pub fn probes(&self) -> Result<BTreeSet<String>> {
        Ok(self.truths()?.into_iter().map(|truth| truth.probe).collect())
    }

    /// The truth about a finding: the one that says most about where it holds.
    pub fn about(&self, of: &str, probe: &str, shape: Option<&str>) -> Result<Option<Truth>> {
        let mut fitting = self.truths()?;
        fitting.retain(|truth| {
            truth.probe == probe
                && truth.of.as_deref().is_none_or(|own| own == of)
                && truth.shape.as_deref().is_none_or(|own| Some(own) == shape)
        });
        let said = |truth: &Truth| {
            usize::from(truth.of.is_some()) * 2 + usize::from(truth.shape.is_some())
        };
        Ok(fitting.into_iter().max_by_key(said))
    }
}

impl Truth {
    fn parse(key: &str, text: &str) -> Result<Self> {
        let (verdicts, because) =
            text.split_once(": ").with_context(|| format!("{key} has no reason: {text}"))?;
        let verdicts: Vec<String> = verdicts.split(" or ").map(str::to_owned).collect();
        if let Some(other) = verdicts.iter().find(|word| !VERDICTS.contains(&word.as_str())) {
            bail!("{key}: there is no verdict `{other}`");
        }
        let mut words: Vec<_> = key.split(' ').map(str::to_owned).collect();
        let shape = words.pop_if(|word| word == "child" || word == "pid1");
        let probe = words.pop().with_context(|| format!("{key} names no probe"))?;
        let of = words.pop();
        ensure!(words.is_empty(), "{key} has too many words");
        Ok(Self { of, probe, shape, verdicts, because: because.to_owned() })
    }
}

/// A file of the zoo.
fn file(name: &str) -> Result<String> {
    let path = repository().join("integration-tests/zoo").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truth_has_a_place_its_verdicts_and_a_reason() -> Result<()> {
        let truth = Truth::parse("api.web IX.drain pid1", "fail or unknown: it never ends")?;
        assert_eq!(truth.of.as_deref(), Some("api.web"));
        assert_eq!((truth.probe.as_str(), truth.shape.as_deref()), ("IX.drain", Some("pid1")));
        assert_eq!(truth.verdicts, ["fail", "unknown"]);
        assert_eq!(truth.because, "it never ends");
        for (key, text) in
            [("IX.drain", "fail"), ("IX.drain", "bad: x"), ("a b IX.drain", "fail: x")]
        {
            assert!(Truth::parse(key, text).is_err(), "{key} = {text}");
        }
        Ok(())
    }
}
