//! An example as a real process.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

/// The command of an example, with no variables.
pub(crate) fn example(name: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join(name));
    command.env_clear();
    command
}

/// A running web process. Dropped, it is killed.
pub(crate) struct Process {
    _child: Child,
    pub(crate) address: String,
}

impl Process {
    pub(crate) async fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = tokio::process::Command::from(example(name));
        command.arg("web").envs([("PORT", "0"), ("DRAIN_DELAY", "0s"), ("LOG_LEVEL", "info")]);
        command.envs(variables.iter().copied()).kill_on_drop(true);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = None;
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            match line["message"].as_str() {
                Some("listening") if address.is_none() => {
                    address = line["address"].as_str().map(str::to_owned);
                }
                Some("ready") => break,
                _ => {}
            }
        }
        // Nobody else reads what it writes from now on.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _child: child, address: address.unwrap() }
    }
}
