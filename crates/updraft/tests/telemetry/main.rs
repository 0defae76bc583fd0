//! Logs and traces of real processes: what is on their standard output, and what a collector
//! of the test's own receives.

#[cfg(test)]
mod collector;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod secrets;
#[cfg(test)]
#[path = "../process/support.rs"]
#[expect(dead_code, reason = "other tests need other parts of it")]
mod support;
#[cfg(test)]
mod traces;

#[cfg(test)]
use std::process::Command;

/// A process of the watched service with exactly these variables.
#[cfg(test)]
fn command(process: &str, variables: &[(&str, &str)]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples/traced"));
    command.arg(process).env_clear();
    command.envs([("DRAIN_DELAY", "0s"), ("OTEL_BSP_SCHEDULE_DELAY", "20")]);
    command.envs(variables.iter().copied());
    command
}

/// A web process of it that is ready, and where it listens.
#[cfg(test)]
fn web(variables: &[(&str, &str)]) -> (support::Process, String) {
    let mut command = command("web", variables);
    command.env("PORT", "0");
    listening(command)
}

#[cfg(test)]
fn listening(command: Command) -> (support::Process, String) {
    let mut process = support::Process::of(command);
    let address = process.wait_for("listening")["address"].as_str().unwrap().to_owned();
    process.wait_for("ready");
    (process, address)
}
