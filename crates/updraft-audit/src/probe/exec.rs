//! `II.exec`: the program runs no tool of the machine that its artefact does not hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::traced::{self, names, of_the_program};
use super::{Bench, Control, Dynamic, Looking, always};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::Feature;
use crate::launch::Executed;
use crate::seen::Seen;
use crate::verdict::Verdict;

pub(super) const EXEC: Dynamic = Dynamic {
    id: ProbeId::IiExec,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[Feature::Trace],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass),
        Control::new(&[Behaviour::Executes], Verdict::Warn),
    ],
};

/// Interpreters, shells among them, count as declared: something has to run a script.
const RUNTIMES: &[&str] = &[
    "bash", "bun", "dash", "deno", "dotnet", "env", "java", "node", "npm", "npx", "perl", "php",
    "pnpm", "ruby", "sh", "uv", "yarn",
];

async fn look(bench: Bench) -> Seen {
    let traced = match traced::run(&bench).await {
        Ok(traced) => traced,
        Err(seen) => return seen,
    };
    let tools = tools(&traced.all, &bench.subject.folder);
    let mut seen = match (&traced.down, traced.all.is_empty()) {
        (Some(why), _) => Seen::unknown(why.clone()),
        (None, true) => Seen::unknown("nothing of it was seen by the tracer"),
        (None, false) => verdict(&tools),
    };
    if !tools.is_empty() {
        let folder = bench.subject.folder.to_string_lossy().into_owned();
        seen = seen.reproduced_by(format!(
            "cd {} && {}=8080 timeout 4 strace -f -e trace=execve {}",
            shell_words::quote(&folder),
            bench.subject.port_variable,
            bench.subject.line()
        ));
    }
    seen.timeline = traced.timeline;
    seen
}

fn verdict(tools: &[String]) -> Seen {
    if tools.is_empty() {
        return Seen::pass(
            "from its start through a few requests it ran nothing but itself and its interpreter",
        );
    }
    Seen::warn(format!(
        "it runs what its artefact does not hold: {}; each image needs it too",
        tools.join(", ")
    ))
    .listing("executed", tools.to_vec())
}

/// What ran that is neither the artefact's, nor what runs the program, nor an interpreter.
fn tools(all: &[Executed], folder: &Path) -> Vec<String> {
    let own = of_the_program(all, folder);
    let runtime = own.first().map(|first| first.executable.clone()).unwrap_or_default();
    let found = own.iter().skip(1).filter_map(|executed| {
        let interprets = names(executed).iter().any(|name| is_runtime(name));
        if executed.executable != runtime && !interprets {
            return Some(executed.executable.clone());
        }
        script(executed)
    });
    let found: BTreeSet<_> = found
        .filter(|path| !path.starts_with(folder))
        .map(|path| path.display().to_string())
        .collect();
    found.into_iter().collect()
}

/// The script that an interpreter runs, unless it starts an interpreter itself. `sh -c` has
/// none.
fn script(executed: &Executed) -> Option<PathBuf> {
    let word = executed.argv.iter().skip(1).find(|word| !word.starts_with('-'))?;
    let path = PathBuf::from(word);
    let known = names(executed).last().is_some_and(|name| is_runtime(name));
    (path.is_absolute() && !word.contains(char::is_whitespace) && !known).then_some(path)
}

/// `python3.11` is one too.
fn is_runtime(name: &str) -> bool {
    RUNTIMES.contains(&name) || name.starts_with("python")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_of_the_machine_are_found_and_the_runtime_is_none() {
        let run = |pid: i32, executable: &str| Executed {
            pid,
            executable: executable.into(),
            argv: vec![executable.to_owned()],
        };
        let all = [
            run(1, "/usr/bin/node"),
            run(2, "/usr/bin/node"),
            run(3, "/app/bin/tool"),
            run(4, "/usr/bin/dash"),
            run(5, "/usr/bin/convert"),
            run(6, "/usr/bin/python3.11"),
            run(7, "/usr/bin/convert"),
        ];
        assert_eq!(tools(&all, Path::new("/app")), ["/usr/bin/convert"]);
    }

    #[test]
    fn a_script_of_the_machine_is_a_tool_and_one_of_the_artefact_is_none() {
        let run = |line: &str| Executed {
            pid: 1,
            executable: format!("/usr/bin/{}", line.split(' ').next().unwrap()).into(),
            argv: line.splitn(3, ' ').map(str::to_owned).collect(),
        };
        let all = [
            run("node"),
            Executed { pid: 2, ..run("sh /opt/bin/tool a") },
            Executed { pid: 2, ..run("sh /app/tool a") },
            Executed { pid: 2, ..run("sh -c /opt/bin/x y") },
            Executed { pid: 2, ..run("bash /root/.pyenv/shims/python3 a") },
            Executed { pid: 2, ..run("node /app/worker.js") },
        ];
        assert_eq!(tools(&all, Path::new("/app")), ["/opt/bin/tool"]);
    }
}
