//! What a shell offers for words that only the system knows: names of its services, processes,
//! tasks and resources. The command itself is asked at each TAB, so that they are those of the
//! manifest as it is then; without a sound manifest nothing is offered.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::CompleteEnv;
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter as _};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
use updraft_system::{Service, System};

use crate::cli::Cli;
use crate::deploys::Deploys;
use crate::global::Global;
use crate::system_dir::SystemDir;

/// Names the shell that asks; absent for everybody else.
const ASKING: &str = "UPDRAFT_COMPLETE";
/// The command, as a person types it.
const COMMAND: &str = "updraft";

/// Answers a shell that asks what it may offer, and ends the process; returns if none asks.
pub(crate) fn answer() {
    CompleteEnv::with_factory(Cli::command).var(ASKING).complete();
}

/// What a shell has to run so that it asks.
pub(crate) fn script(shell: Shell) -> std::io::Result<String> {
    let mut script = Vec::new();
    let shell: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    shell.write_registration(ASKING, COMMAND, COMMAND, COMMAND, &mut script)?;
    let mut script = String::from_utf8_lossy(&script).trim().to_owned();
    if shell.name() == Zsh.name() {
        // As a file of `fpath` it is run for the first TAB, and has to answer that as well.
        script.push_str(
            "\nif [ \"$funcstack[1]\" = \"_updraft\" ]; then\n    \
             _clap_dynamic_completer_updraft \"$@\"\nfi",
        );
    }
    Ok(script)
}

/// A shell that can ask.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Services.
pub(crate) fn services() -> Vec<CompletionCandidate> {
    offer(|system| system.services.keys().map(ToString::to_string).collect())
}

/// Folders, and services.
pub(crate) fn targets(begun: &OsStr) -> Vec<CompletionCandidate> {
    let fits = |it: &CompletionCandidate| it.get_value().as_bytes().starts_with(begun.as_bytes());
    let services = services().into_iter().filter(fits);
    services.chain(PathCompleter::dir().complete(begun)).collect()
}

/// Resources.
pub(crate) fn resources() -> Vec<CompletionCandidate> {
    offer(|system| system.resources.keys().map(ToString::to_string).collect())
}

/// What runs: services, `service.process`, and resources.
pub(crate) fn runs() -> Vec<CompletionCandidate> {
    offer(|system| [services_and_resources(system), processes(system)].concat())
}

/// What writes lines: what runs, and `service.task`.
pub(crate) fn writes() -> Vec<CompletionCandidate> {
    offer(|system| [services_and_resources(system), processes(system), tasks(system)].concat())
}

/// `service.process=`, to which a number belongs.
pub(crate) fn scales() -> Vec<CompletionCandidate> {
    offer(|system| processes(system).into_iter().map(|process| format!("{process}=")).collect())
}

/// `service.task`.
pub(crate) fn runnable() -> Vec<CompletionCandidate> {
    offer(tasks)
}

/// Deploys that have values or releases.
pub(crate) fn deploys() -> Vec<CompletionCandidate> {
    let global = Global { directory: directory(std::env::args_os()), json: false };
    let found = Deploys::find(&global).map(|found| found.store.deploys().unwrap_or_default());
    let names = found.unwrap_or_default();
    names.into_iter().map(|name| CompletionCandidate::new(String::from(name))).collect()
}

fn offer(names: impl FnOnce(&System) -> Vec<String>) -> Vec<CompletionCandidate> {
    let directory = directory(std::env::args_os());
    let system = SystemDir::find(&directory).and_then(|found| found.system());
    // A shell shows no errors in the middle of a line.
    let names = system.map(|system| names(&system)).unwrap_or_default();
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn services_and_resources(system: &System) -> Vec<String> {
    system.services.keys().chain(system.resources.keys()).map(ToString::to_string).collect()
}

fn processes(system: &System) -> Vec<String> {
    let of = |service: &Service| {
        let name = service.name.clone();
        let full = move |process| format!("{name}.{process}");
        service.processes.keys().map(full).collect::<Vec<_>>()
    };
    system.services.values().flat_map(of).collect()
}

fn tasks(system: &System) -> Vec<String> {
    let of = |service: &Service| {
        let name = service.name.clone();
        service.tasks.keys().map(move |task| format!("{name}.{task}")).collect::<Vec<_>>()
    };
    system.services.values().flat_map(of).collect()
}

/// The folder that the line names, which stands behind the first `--` when a shell asks.
fn directory(words: impl Iterator<Item = OsString>) -> PathBuf {
    let mut words = words.skip_while(|word| word != "--").skip(1);
    let mut named = None;
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            break;
        }
        if bytes == b"-C" || bytes == b"--directory" {
            named = words.next();
        } else if let Some(rest) =
            bytes.strip_prefix(b"--directory=").or_else(|| bytes.strip_prefix(b"-C"))
        {
            named = Some(OsStr::from_bytes(rest).to_owned());
        }
    }
    let named = named.filter(|named| !named.is_empty());
    named.map_or_else(|| PathBuf::from("."), |named| OsString::from_vec(named.into_vec()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_one_that_the_line_names() {
        for (line, folder) in [
            ("updraft -- updraft logs o", "."),
            ("updraft -C x -- updraft logs o", "."),
            ("updraft -- updraft -C a/b logs o", "a/b"),
            ("updraft -- updraft logs -Ca/b o", "a/b"),
            ("updraft -- updraft --directory a logs o", "a"),
            ("updraft -- updraft --directory=a logs o", "a"),
            ("updraft -- updraft logs -C", "."),
            ("updraft -- updraft task a.b -- -C x", "."),
            ("updraft logs", "."),
        ] {
            let words = line.split(' ').map(OsString::from);
            assert_eq!(directory(words), PathBuf::from(folder), "{line}");
        }
    }

    #[test]
    fn what_is_offered_is_what_the_verb_takes() {
        let text = "system = \"shop\"\n[resource]\ndb = { kind = \"sql\" }\n\
                    [service.api]\nprocess = { web = { run = \"a\" }, worker = { run = \"b\" } }\n\
                    task = { migrate = { run = \"c\" } }\n";
        let system = updraft_system::parse_manifest(text).unwrap();
        assert_eq!(services_and_resources(&system), ["api", "db"]);
        assert_eq!(processes(&system), ["api.web", "api.worker"]);
        assert_eq!(tasks(&system), ["api.migrate"]);
    }

    #[test]
    fn bash_can_read_its_script() {
        let script = script(Shell::Bash).unwrap();
        let read = std::process::Command::new("bash").args(["--norc", "-nc", &script]).output();
        let read = read.unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        assert!(script.contains(ASKING) && script.contains("-F _clap_complete_updraft updraft"));
    }
}
