//! One run of the service `settings`.

use std::process::Command;

/// What every run needs.
pub(crate) const SOUND: [(&str, &str); 2] = [("CURRENCY", "EUR"), ("MAIL_KEY", "canary-key")];

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// No part of the output holds it.
    #[track_caller]
    pub(crate) fn hides(&self, canary: &str) {
        assert!(!self.stdout.contains(canary) && !self.stderr.contains(canary), "{self:?}");
    }
}

/// Runs the service with these words and exactly these variables; a later one of the same
/// name wins.
pub(crate) fn run(words: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples/settings"));
    command.args(words).env_clear().envs(variables.iter().copied());
    let output = command.output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// [`SOUND`] with these behind it.
pub(crate) fn sound_and<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    SOUND.iter().chain(more).copied().collect()
}
