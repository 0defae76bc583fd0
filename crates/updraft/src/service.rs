//! The entry of a service: its process types and tasks by name, and the way from the
//! command line to one of them. The command line picks *what* runs, the environment says
//! *how*; nothing else is read.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use axum::Router;

use crate::config::{Config, Invalid};
use crate::log::{Identity, Logs};
use crate::process::{BoxFuture, Context, Outcome, Platform, Start};
use crate::{BoxError, process};

/// Exit code: a process type that does not exist, or arguments that nobody reads.
const EXIT_USAGE: u8 = 2;
/// Exit code: the configuration is wrong (`EX_CONFIG` of sysexits).
const EXIT_CONFIG: u8 = 78;

/// Begins a service. `settings` reads what the service needs from the environment; it
/// must not connect to anything.
pub fn service<S: Send + 'static>(
    name: &'static str,
    settings: fn(&mut Config) -> Result<S, Invalid>,
) -> Service<S> {
    Service { name, settings, entries: Vec::new() }
}

/// A service: one binary with all its process types and tasks.
#[must_use = "a service does nothing until `main` is called"]
pub struct Service<S> {
    name: &'static str,
    settings: fn(&mut Config) -> Result<S, Invalid>,
    entries: Vec<Entry<S>>,
}

impl<S> std::fmt::Debug for Service<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.entries.iter().map(|entry| entry.name).collect();
        f.debug_struct("Service").field("name", &self.name).field("entries", &names).finish()
    }
}

struct Entry<S> {
    name: &'static str,
    kind: Kind,
    start: Box<dyn FnOnce(S, Context) -> Start>,
}

/// What an entry is, which decides what it needs of the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Web,
    Worker,
    Task,
}

impl<S: Send + 'static> Service<S> {
    /// A process type that answers HTTP requests on `PORT`. `start` connects what the
    /// handlers need and gives the router; when it returns, the process is ready.
    pub fn web<F, R>(self, name: &'static str, start: F) -> Self
    where
        F: FnOnce(S, Context) -> R + 'static,
        R: Future<Output = Result<Router, BoxError>> + Send + 'static,
    {
        self.entry(name, Kind::Web, |settings, context| Start::Web(boxed(start(settings, context))))
    }

    /// A process type that works in the background. `start` connects what the work needs
    /// and starts it with [`Context::run`]; when it returns, the process is ready. With
    /// `PORT` set, the process answers health requests there.
    pub fn worker<F, R>(self, name: &'static str, start: F) -> Self
    where
        F: FnOnce(S, Context) -> R + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.entry(name, Kind::Worker, |settings, context| {
            Start::Worker(boxed(start(settings, context)))
        })
    }

    /// An admin task: it runs once in the environment of the processes and ends.
    pub fn task<F, R>(self, name: &'static str, run: F) -> Self
    where
        F: FnOnce(S, Context) -> R + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.entry(name, Kind::Task, |settings, context| Start::Task(boxed(run(settings, context))))
    }

    /// Runs what the command line names, and gives the exit code to return from `main`:
    ///
    /// | code | meaning |
    /// |---|---|
    /// | 0 | ended cleanly: nothing was cut off |
    /// | 1 | failed, or something was cut off |
    /// | 2 | the command line is wrong |
    /// | 78 | the configuration is wrong |
    pub fn main(self) -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["-h" | "--help" | "help"] => {
                // A reader that has gone away has seen what it wanted.
                let _ = std::io::stdout().write_all(self.help().as_bytes());
                ExitCode::SUCCESS
            }
            [name] if self.entries.iter().any(|entry| entry.name == name) => self.run(name),
            [] => self.refuse("a process type or task is missing"),
            [_] => self.refuse("there is no process type or task of this name"),
            [_, ..] => self.refuse("only one argument is read: a process type or task"),
        }
    }

    fn entry(
        mut self,
        name: &'static str,
        kind: Kind,
        start: impl FnOnce(S, Context) -> Start + 'static,
    ) -> Self {
        self.entries.push(Entry { name, kind, start: Box::new(start) });
        self
    }

    fn refuse(&self, why: &str) -> ExitCode {
        complain(&format!("{}: {why}\n\n{}", self.name, self.help()));
        ExitCode::from(EXIT_USAGE)
    }

    fn run(self, name: &str) -> ExitCode {
        let Some(entry) = self.entries.into_iter().find(|entry| entry.name == name) else {
            return ExitCode::from(EXIT_USAGE);
        };
        let mut config = Config::from_env();
        let platform = Platform::read(&mut config, entry.kind);
        let settings = (self.settings)(&mut config);
        if let Some(report) = config.report() {
            complain(&format!("{} {}: {report}\n", self.name, entry.name));
            return ExitCode::from(EXIT_CONFIG);
        }
        let (Ok(platform), Ok(settings)) = (platform, settings) else {
            // `Invalid` comes only from `Config`, which then has a report.
            return ExitCode::from(EXIT_CONFIG);
        };

        let identity = Identity { service: self.name, process: entry.name };
        let started = Logs::start(identity, platform.level).and_then(|logs| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            Ok((logs, runtime))
        });
        let (logs, runtime) = match started {
            Ok(started) => started,
            Err(error) => {
                complain(&format!("{} {}: cannot start: {error}\n", self.name, entry.name));
                return ExitCode::FAILURE;
            }
        };
        let outcome =
            runtime.block_on(process::run(platform, |context| (entry.start)(settings, context)));
        // What still runs was cut off by the drain, which has said so.
        runtime.shutdown_background();
        drop(logs);
        match outcome {
            Outcome::Clean => ExitCode::SUCCESS,
            Outcome::Failed => ExitCode::FAILURE,
        }
    }

    /// What can be run, and which variables are read.
    fn help(&self) -> String {
        let mut text = format!("Usage: {} <process type or task>\n", self.name);
        let kinds = [(true, "Process types"), (false, "Tasks")];
        for (process, title) in kinds {
            let of_kind = |entry: &&Entry<S>| (entry.kind != Kind::Task) == process;
            let names: Vec<_> = self.entries.iter().filter(of_kind).map(|e| e.name).collect();
            if !names.is_empty() {
                let _ = write!(text, "\n{title}:\n  {}\n", names.join("\n  "));
            }
        }
        let mut config = Config::from_variables([]);
        // Every variable is missing here; what counts is which were asked for.
        let _ = Platform::read(&mut config, Kind::Web);
        let _ = (self.settings)(&mut config);
        text.push_str("\nEnvironment:\n");
        for declared in config.declared() {
            let default = match (&declared.default, declared.required) {
                (Some(default), _) => format!("default {default}"),
                (None, true) => "required".to_owned(),
                (None, false) => "optional".to_owned(),
            };
            let _ = write!(
                text,
                "  {}\n      {} ({default}); {}\n",
                declared.variable, declared.about, declared.expected
            );
        }
        text
    }
}

fn boxed<T>(future: impl Future<Output = T> + Send + 'static) -> BoxFuture<T> {
    Box::pin(future)
}

/// Tells somebody at a terminal, or a platform that shows standard error, why nothing ran.
fn complain(text: &str) {
    // With standard error gone there is nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
