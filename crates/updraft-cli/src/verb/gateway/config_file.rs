//! The file that a gateway goes by.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use updraft_system::mesh::{GatewayConfig, GatewayProblem, Severity};

use crate::failure::{Class, Failure};

/// A longer file is none that anybody meant.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Where the configuration is.
#[derive(Clone, Debug)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
}

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub(crate) struct ConfigProblems {
    path: PathBuf,
    pub(super) problems: Vec<GatewayProblem>,
}

/// The file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the configuration {}", .path.display())]
pub(super) struct Unreadable {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl ConfigFile {
    /// The file of this name, seen from `directory`.
    pub(super) fn at(directory: &Path, path: &Path) -> Self {
        let here = directory == Path::new(".");
        Self { path: if here { path.to_owned() } else { directory.join(path) } }
    }

    /// The text as it is now.
    pub(super) fn read(&self) -> Result<String, Unreadable> {
        let failed = |source| Unreadable { path: self.path.clone(), source };
        let mut text = String::new();
        let file = File::open(&self.path).map_err(failed)?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            let long = format!("it is longer than {FILE_BYTES_MAX} bytes");
            return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, long)));
        }
        Ok(text)
    }

    /// What the text says. No TOML begins with a brace, and all JSON of a configuration does.
    pub(super) fn parse(&self, text: &str) -> Result<GatewayConfig, ConfigProblems> {
        let failed = |problems| ConfigProblems { path: self.path.clone(), problems };
        let parsed = if text.trim_start().starts_with('{') {
            GatewayConfig::from_json(text)
        } else {
            GatewayConfig::from_toml(text)
        };
        let config = parsed.map_err(failed)?;
        if config.identity.as_ref().is_some_and(|identity| identity.issuer.is_none()) {
            let message = "nobody signs certificates here: name the control socket of the \
                           `updraft up` that does";
            return Err(failed(vec![GatewayProblem {
                pointer: "/identity/issuer".to_owned(),
                message: message.to_owned(),
                severity: Severity::Error,
                place: None,
            }]));
        }
        Ok(config)
    }

    /// A problem with its place in the file.
    pub(super) fn in_words(&self, problem: &GatewayProblem) -> String {
        in_words(&self.path, problem)
    }
}

impl ConfigProblems {
    /// One line for each.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            let word = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            text += &format!("{word}: {}\n", in_words(&self.path, problem));
        }
        text + &self.summary() + "\n"
    }

    /// As one JSON object.
    pub(crate) fn to_json(&self) -> Value {
        let one = |problem: &GatewayProblem| {
            json!({
                "file": self.path,
                "line": problem.place.map(|place| place.line),
                "column": problem.place.map(|place| place.column),
                "pointer": problem.pointer,
                "message": problem.message,
            })
        };
        let problems: Vec<Value> = self.problems.iter().map(one).collect();
        json!({ "error": self.summary(), "exit": 2, "problems": problems })
    }

    fn summary(&self) -> String {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        format!("{count} {noun} in {}", self.path.display())
    }
}

fn in_words(path: &Path, problem: &GatewayProblem) -> String {
    let gap = if problem.place.is_some() { ":" } else { ": " };
    format!("{}{gap}{problem}", path.display())
}

impl From<Unreadable> for Failure {
    fn from(error: Unreadable) -> Self {
        Self::from_error(Class::Usage, &error)
    }
}

impl From<ConfigProblems> for Failure {
    fn from(problems: ConfigProblems) -> Self {
        Self::Config(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let file = ConfigFile::at(Path::new("."), Path::new("gateway.toml"));
        file.parse(text).unwrap_err().to_text()
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        insta::assert_snapshot!(said(
            "system = \"shop\"\nversoin = 3\n\n[[edges]]\nfrom = 7\nto = \"x\"\n"
        ));
    }

    #[test]
    fn json_is_told_from_toml_by_its_first_letter() {
        let file = ConfigFile::at(Path::new("/etc"), Path::new("gateway"));
        assert_eq!(file.path, Path::new("/etc/gateway"));
        assert_eq!(file.parse(" \n{\"system\": \"shop\"}").unwrap().system.as_str(), "shop");
        assert_eq!(file.parse("system = \"shop\"").unwrap().system.as_str(), "shop");
        assert!(said("{\"system\": }").contains("this is not JSON"));
    }

    #[test]
    fn a_gateway_that_nobody_signs_for_is_refused() {
        let text = "system = \"shop\"\nidentity = { services = [\"cart\"] }\n";
        assert!(said(text).contains("/identity/issuer: nobody signs"), "{}", said(text));
    }
}
