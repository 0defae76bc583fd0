//! One run under a tracer: which executables a program runs.

use std::path::{Path, PathBuf};

use super::exercise::exercise;
use super::{Bench, unready};
use crate::lab::Setup;
use crate::launch::Executed;
use crate::report::Moment;
use crate::seen::Seen;
use crate::verdict::Shape;

/// What was seen of a run.
pub(super) struct Traced {
    /// Everything that ran, in its order.
    pub(super) all: Vec<Executed>,
    /// Why it did not come up; `None`: it did.
    pub(super) down: Option<String>,
    pub(super) timeline: Vec<Moment>,
}

/// Runs the program under a tracer and asks it for a few things.
pub(super) async fn run(bench: &Bench) -> Result<Traced, Seen> {
    let place = bench.lab.place();
    let place = place.map_err(|error| Seen::unknown(format!("there is no place: {error}")))?;
    let log = place.join("executed.jsonl");
    let setup = Setup { trace: Some(log.clone()), ..Setup::new(Shape::Child) };
    let started = bench.lab.start(&bench.subject, &setup, bench.patience()).await;
    let (down, timeline) = match started {
        Ok(running) => {
            exercise(bench, &running).await;
            (None, running.end().await)
        }
        Err(error) => (Some(unready(&error)), Vec::new()),
    };
    Ok(Traced { all: Executed::read(&log), down, timeline })
}

/// What ran after the program had begun, at the first script or executable of its folder: until then a command may become the program by way of others
/// (`env`, a version manager and what those run), and they are how it was called.
pub(super) fn of_the_program<'a>(all: &'a [Executed], folder: &Path) -> &'a [Executed] {
    let Some(first) = all.first() else { return &[] };
    let leads = |executed: &Executed| executed.pid == first.pid;
    let is_own = |executed: &Executed| {
        let script = executed.argv.iter().skip(1).find(|word| !word.starts_with('-'));
        let script = script.map(|script| folder.join(script));
        executed.executable.starts_with(folder)
            || script.is_some_and(|script| script.starts_with(folder) && script.is_file())
    };
    let begins = all.iter().position(|executed| leads(executed) && is_own(executed));
    let begins = begins.or_else(|| all.iter().rposition(leads)).unwrap_or(0);
    all.get(begins..).unwrap_or_default()
}

/// The names by which an executable is known: of its file, of its first argument, and of the
/// script that it interprets.
pub(super) fn names(executed: &Executed) -> Vec<String> {
    let script = executed.argv.iter().skip(1).find(|word| !word.starts_with('-'));
    let script = script.filter(|word| word.contains('/'));
    let words = executed.argv.first().into_iter().chain(script).map(PathBuf::from);
    let all = [executed.executable.clone()].into_iter().chain(words);
    all.filter_map(|path| file_name(&path)).collect()
}

/// The name of a file without what a package manager adds to scripts.
fn file_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let stem = [".js", ".mjs", ".cjs", "-cli"]
        .iter()
        .fold(name.as_str(), |name, end| name.strip_suffix(end).unwrap_or(name));
    Some(stem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executed(pid: i32, executable: &str, argv: &[&str]) -> Executed {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        Executed { pid, executable: executable.into(), argv }
    }

    #[test]
    fn how_a_program_was_called_is_no_part_of_it() {
        let all = [
            executed(1, "/usr/bin/env", &["env", "python3"]),
            executed(1, "/bin/bash", &["bash", "/root/.pyenv/shims/python3"]),
            executed(2, "/usr/bin/sort", &["sort"]),
            executed(1, "/root/.pyenv/versions/3/bin/python3", &["python3", "app.py"]),
            executed(3, "/usr/bin/convert", &["convert"]),
        ];
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("run.sh"), "").unwrap();
        let own = |all: &[Executed]| {
            let own = of_the_program(all, folder.path());
            own.iter().map(|it| it.pid).collect::<Vec<_>>()
        };
        assert_eq!(own(&all), [1, 3]);
        assert!(own(&[]).is_empty());
        // What a script of its own runs is its own doing.
        let all = [
            executed(1, "/usr/bin/dash", &["sh", "run.sh"]),
            executed(2, "/usr/bin/gcc", &["gcc"]),
            executed(1, "/usr/bin/node", &["node", "a.js"]),
        ];
        assert_eq!(own(&all), [1, 2, 1]);
    }

    #[test]
    fn a_script_is_known_by_its_own_name_too() {
        let npm = executed(1, "/usr/bin/node", &["node", "/usr/lib/npm/bin/npm-cli.js", "ci"]);
        assert_eq!(names(&npm), ["node", "node", "npm"]);
    }
}
