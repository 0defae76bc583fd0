//! The service manager, asked through systemctl(1).

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::place::Place;
use crate::failure::Failure;

/// How long one order may take; nothing that we ask for waits for a system to start.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// As long as a system may take to end, which only its unit knows.
const STOP_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

/// A service manager.
#[derive(Clone, Copy, Debug)]
pub(super) struct Systemctl {
    whose: &'static str,
}

impl Systemctl {
    pub(super) fn of(place: &Place) -> Self {
        Self { whose: place.whose() }
    }

    /// The version of what is installed; `None`: there is no systemd here.
    pub(super) async fn version() -> Option<u32> {
        let output = run(Command::new("systemctl").arg("--version"), ANSWER_WITHIN).await.ok()?;
        version_in(&output)
    }

    /// Whether the manager runs and answers.
    pub(super) async fn answers(self) -> Result<(), Failure> {
        let asked = self.ask(&["show", "--property=Version"], ANSWER_WITHIN).await;
        asked.map(drop).map_err(|reason| {
            let manager = match self.whose {
                "--user" => "the service manager of this user",
                _ => "systemd",
            };
            Failure::environment(format!("{manager} does not answer: {reason}"))
        })
    }

    /// Follows an order.
    pub(super) async fn order(self, words: &[&str]) -> Result<(), Failure> {
        let within = if words.contains(&"--now") { STOP_WITHIN } else { ANSWER_WITHIN };
        self.ask(words, within).await.map(drop).map_err(|reason| {
            let words = words.join(" ");
            Failure::environment(format!("`systemctl {} {words}` failed: {reason}", self.whose))
        })
    }

    /// Properties of a unit; `None`: the manager does not answer.
    pub(super) async fn properties(
        self,
        unit: &str,
        names: &[&str],
    ) -> Option<BTreeMap<String, String>> {
        let property = format!("--property={}", names.join(","));
        let shown = self.ask(&["show", &property, "--", unit], ANSWER_WITHIN).await.ok()?;
        let pairs = shown.lines().filter_map(|line| line.split_once('='));
        Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    async fn ask(self, words: &[&str], within: Duration) -> Result<String, String> {
        run(Command::new("systemctl").arg(self.whose).arg("--no-pager").args(words), within).await
    }
}

/// What a command writes, or why it failed in one line.
async fn run(command: &mut Command, within: Duration) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match timeout(within, output).await {
        Ok(output) => output.map_err(|error| format!("systemctl: {error}"))?,
        Err(_) => return Err(format!("no answer within {within:?}")),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(if said.is_empty() { output.status.to_string() } else { said.join("; ") })
}

/// `systemd 252 (252.38-1~deb12u1)`.
fn version_in(output: &str) -> Option<u32> {
    let number = output.lines().next()?.strip_prefix("systemd ")?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_first_number() {
        let cases = [
            ("systemd 252 (252.38-1~deb12u1)\n+PAM +AUDIT", Some(252)),
            ("systemd 257~rc1", Some(257)),
            ("systemd 260", Some(260)),
            ("runit 2.1", None),
            ("", None),
        ];
        for (output, version) in cases {
            assert_eq!(version_in(output), version, "{output}");
        }
    }
}
