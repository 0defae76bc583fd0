//! What comes before any work: configuration, logs, the runtime. `main` is not async, since
//! these must be there before the runtime and outlive it.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use tokio::runtime::Runtime;

use crate::app::App;
use crate::config::Config;
use crate::process::{self, Context, Kind, Outcome, Platform, Start};
use crate::release::Release;
use crate::telemetry::Telemetry;

/// Exit code: the configuration is wrong (`EX_CONFIG` of sysexits).
const EXIT_CONFIG: u8 = 78;

/// A process that may begin its work.
pub(super) struct Booted<A: App> {
    pub(super) telemetry: Telemetry,
    pub(super) runtime: Runtime,
    pub(super) platform: Platform,
    pub(super) parsed: A::Parsed,
    /// The release with its id.
    pub(super) release: Release,
}

/// Reads the environment, and starts what everything else needs.
///
/// # Errors
///
/// The exit code, after somebody was told why.
pub(super) fn boot<A: App>(
    release: &Release,
    name: &'static str,
    kind: Kind,
) -> Result<Booted<A>, ExitCode> {
    boot_demanding(release, name, kind, |_| {})
}

/// The same, where the service demands more of its environment than each variable alone.
///
/// # Errors
///
/// The exit code, after somebody was told why.
pub(super) fn boot_demanding<A: App>(
    release: &Release,
    name: &'static str,
    kind: Kind,
    demand: impl FnOnce(&mut Config),
) -> Result<Booted<A>, ExitCode> {
    let service = release.service();
    let mut config = Config::from_env();
    let platform = Platform::read(&mut config, kind);
    let parsed = A::read(&mut config);
    demand(&mut config);
    if let Some(code) = refuse(service, name, &config) {
        return Err(code);
    }
    let (Ok(platform), Ok(parsed)) = (platform, parsed) else {
        // `Invalid` comes only from `Config`, which then has a report.
        return Err(ExitCode::from(EXIT_CONFIG));
    };
    let release = release.running(&config);
    let settings = platform.telemetry.clone();
    let started = Telemetry::start(&release, name, settings).and_then(|telemetry| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok((telemetry, runtime))
    });
    match started {
        Ok((telemetry, runtime)) => {
            warn_of_near_misses(&config);
            Ok(Booted { telemetry, runtime, platform, parsed, release })
        }
        Err(error) => {
            complain(&format!("{service} {name}: cannot start: {error}\n"));
            Err(ExitCode::FAILURE)
        }
    }
}

/// Runs the process to its end.
pub(super) fn run(
    release: Release,
    telemetry: Telemetry,
    runtime: Runtime,
    platform: Platform,
    start: impl FnOnce(Context) -> Start,
) -> ExitCode {
    match process::supervise(runtime, platform, release, telemetry, Box::new(start)) {
        Outcome::Clean => ExitCode::SUCCESS,
        Outcome::Failed => ExitCode::FAILURE,
    }
}

/// Tells what is wrong with a configuration, and gives the exit code for it; `None` when
/// nothing is.
pub(super) fn refuse(service: &str, name: &str, config: &Config) -> Option<ExitCode> {
    let report = config.report()?;
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if std::io::stderr().is_terminal() && !no_colour {
        complain(&format!("{service} {name}: {}\n", report.in_colour()));
    } else {
        complain(&format!("{service} {name}: {report}\n"));
    }
    Some(ExitCode::from(EXIT_CONFIG))
}

/// Tells somebody who asks about the configuration of names that look like slips of the pen.
pub(super) fn hint(config: &Config) {
    for near in config.near_misses() {
        complain(&format!("{near}\n"));
    }
}

/// One line for all names that look like slips of the pen.
fn warn_of_near_misses(config: &Config) {
    let near = config.near_misses();
    if !near.is_empty() {
        let told = near.iter().map(|near| format!("{} ({}?)", near.found, near.meant));
        let variables = told.collect::<Vec<_>>().join(", ");
        tracing::warn!(variables, "variables are set that nothing reads, but nearly");
    }
}

/// Prints an answer.
pub(super) fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_nobody_reads) => ExitCode::FAILURE,
    }
}

/// Prints an answer for a program.
pub(super) fn print_json(value: &serde_json::Value) -> ExitCode {
    print(&format!("{value:#}\n"))
}

/// Tells somebody at a terminal, or a platform that shows standard error, why nothing ran.
fn complain(text: &str) {
    // With standard error gone there is nobody to tell.
    drop(std::io::stderr().write_all(text.as_bytes()));
}
