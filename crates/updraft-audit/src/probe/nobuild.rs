//! `V.nobuild`: what starts is built already.

use super::traced::{self, names};
use super::{Bench, Control, Dynamic, Looking, always};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::Feature;
use crate::launch::Executed;
use crate::seen::Seen;

pub(super) const NOBUILD: Dynamic = Dynamic {
    id: ProbeId::VNobuild,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[Feature::Trace],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::Builds]),
};

/// Compilers of C and its kin. They are also asked where a library is (`ctypes.util`), which
/// builds nothing.
const C: &[&str] = &["cc", "gcc", "g++", "c++", "clang", "clang++"];
const SOURCES: &[&str] = &[".c", ".cc", ".cpp", ".cxx", ".s", ".S", ".m"];
/// Those that build whatever they are asked for, but their version.
const ALWAYS: &[&str] =
    &["rustc", "javac", "tsc", "esbuild", "webpack", "rollup", "kotlinc", "scalac", "sass"];
/// Those that build when they are asked to, with the words that ask.
const ASKED: &[(&str, &[&str])] = &[
    ("bun", &["install", "i", "add", "build"]),
    ("bundle", &["install", "update"]),
    ("cargo", &["build", "b", "run", "r", "install", "test", "rustc"]),
    ("composer", &["install", "update", "require"]),
    ("dotnet", &["build", "run", "restore", "publish", "watch"]),
    ("gem", &["install"]),
    ("go", &["build", "run", "install", "generate"]),
    ("gradle", &["build", "run", "assemble", "bootRun"]),
    ("gradlew", &["build", "run", "assemble", "bootRun"]),
    ("mvn", &["compile", "package", "install", "spring-boot:run", "exec:java"]),
    ("next", &["build", "dev"]),
    ("npm", &["install", "i", "ci", "add", "update", "rebuild"]),
    ("pip", &["install"]),
    ("pip3", &["install"]),
    ("pnpm", &["install", "i", "add", "update", "rebuild"]),
    ("poetry", &["install", "update", "add"]),
    ("uv", &["sync", "add", "lock", "build", "pip"]),
    ("vite", &["build", "dev", "serve"]),
    ("yarn", &["install", "add", "up", "rebuild"]),
];
/// Those whose `run` names a script.
const RUNNERS: &[&str] = &["bun", "npm", "pnpm", "yarn"];

async fn look(bench: Bench) -> Seen {
    let traced = match traced::run(&bench).await {
        Ok(traced) => traced,
        Err(seen) => return seen,
    };
    let mut seen = verdict(&traced.all, traced.down.as_deref());
    if seen.verdict == crate::verdict::Verdict::Fail {
        let folder = bench.subject.folder.to_string_lossy().into_owned();
        seen = seen.reproduced_by(format!(
            "cd {} && {}=8080 timeout 9 strace -f -e trace=execve {}",
            shell_words::quote(&folder),
            bench.subject.port_variable,
            bench.subject.line()
        ));
    }
    seen.timeline = traced.timeline;
    seen
}

/// What was built counts even where the program was not ready in the end.
fn verdict(all: &[Executed], down: Option<&str>) -> Seen {
    let built = all.iter().find(|executed| builds(executed));
    match (built, down) {
        (Some(executed), _) => {
            Seen::fail(format!("its start builds: it runs `{}`", shown(&executed.argv)))
        }
        (None, Some(why)) => Seen::unknown(why),
        (None, None) if all.is_empty() => Seen::unknown("nothing of it was seen by the tracer"),
        (None, None) => Seen::pass(format!(
            "none of the {} executables that ran from its start through a few requests builds",
            all.len()
        )),
    }
}

fn shown(argv: &[String]) -> String {
    const WORDS: usize = 6;
    let shown: Vec<_> = argv.iter().take(WORDS).cloned().collect();
    let more = if argv.len() > WORDS { " …" } else { "" };
    format!("{}{more}", shell_words::join(&shown))
}

/// Whether an execution makes something that ought to be there already.
fn builds(executed: &Executed) -> bool {
    let names = names(executed);
    let words = executed.argv.get(1..).unwrap_or_default();
    let is = |known: &[&str]| names.iter().any(|name| known.contains(&name.as_str()));
    if is(C) {
        let compiles = |word: &String| {
            word == "-c"
                || (!word.starts_with('-') && SOURCES.iter().any(|end| word.ends_with(end)))
        };
        return words.iter().any(compiles);
    }
    if is(ALWAYS) {
        let asks = |word: &String| {
            word.starts_with("--version")
                || matches!(word.as_str(), "-V" | "-v" | "-vV" | "-version" | "--help" | "-h")
                || word.starts_with("--print")
                || word.starts_with("--service")
        };
        return !words.iter().any(asks);
    }
    // `python -m pip install` is the same as `pip install`.
    if let [flag, module, rest @ ..] = words
        && flag == "-m"
    {
        return asked(&[module.as_str()], rest);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    asked(&names, words)
}

fn asked(names: &[&str], words: &[String]) -> bool {
    let found = ASKED.iter().find(|(tool, _)| names.contains(tool));
    let Some((tool, asking)) = found else { return false };
    // Of a script, its path stands before what is asked of it.
    let script = |word: &&String| word.contains('/');
    let mut words = words.iter().filter(|word| !word.starts_with('-')).skip_while(script);
    let Some(first) = words.next() else { return false };
    let script = words.next().map(String::as_str).unwrap_or_default();
    let runs = RUNNERS.contains(tool) && matches!(first.as_str(), "run" | "run-script");
    let is_build = |name: &str| name == "build" || name.starts_with("build:");
    asking.contains(&first.as_str()) || (runs && is_build(script))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn run(executable: &str, line: &str) -> Executed {
        let argv = line.split(' ').map(str::to_owned).collect();
        Executed { pid: 1, executable: executable.into(), argv }
    }

    #[test]
    fn what_makes_something_at_start_is_told_from_what_only_runs_it() {
        let table = [
            ("/usr/bin/x86_64-linux-gnu-gcc-13", "gcc -O2 -c a.c -o a.o", true),
            ("/usr/bin/x86_64-linux-gnu-gcc-13", "gcc -Wl,-t -o /tmp/x -lssl", false),
            ("/usr/bin/gcc", "cc --version", false),
            ("/usr/bin/gcc", "cc a.c", true),
            ("/root/.cargo/bin/rustup", "cargo run", true),
            ("/root/.cargo/bin/rustup", "cargo --version", false),
            ("/toolchain/bin/rustc", "rustc -vV", false),
            ("/toolchain/bin/rustc", "rustc src/main.rs", true),
            ("/usr/bin/node", "npm start", false),
            ("/usr/bin/node", "node /usr/bin/npm start", false),
            ("/usr/bin/node", "node /usr/bin/npm ci", true),
            ("/usr/bin/node", "node /usr/lib/npm/bin/npm-cli.js run build", true),
            ("/usr/bin/node", "node /usr/bin/npm run serve", false),
            ("/usr/bin/node", "node server.js install", false),
            ("/usr/bin/node", "node /app/node_modules/.bin/tsc -p .", true),
            ("/usr/bin/node", "node /app/node_modules/.bin/vite preview", false),
            ("/usr/bin/node", "node /app/node_modules/.bin/vite build", true),
            ("/usr/bin/uv", "uv run app.py", false),
            ("/usr/bin/uv", "uv sync --frozen", true),
            ("/usr/bin/python3.11", "python3 -m pip install flask", true),
            ("/usr/bin/python3.11", "python3 -m http.server", false),
            ("/usr/bin/python3.11", "python3 /venv/bin/pip install flask", true),
        ];
        for (executable, line, expected) in table {
            assert_eq!(builds(&run(executable, line)), expected, "{line}");
        }
    }

    #[test]
    fn what_was_built_counts_even_where_nothing_came_up() {
        let (compiler, server) = (run("/usr/bin/gcc", "cc a.c"), run("/usr/bin/node", "node a.js"));
        assert_eq!(verdict(&[compiler], Some("not ready")).verdict, Verdict::Fail);
        assert_eq!(
            verdict(std::slice::from_ref(&server), Some("not ready")).verdict,
            Verdict::Unknown
        );
        assert_eq!(verdict(&[server], None).verdict, Verdict::Pass);
        assert_eq!(verdict(&[], None).verdict, Verdict::Unknown);
    }
}
