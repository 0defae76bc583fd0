//! `II.clean`: the program comes up with what it has declared and nothing else of this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Bench, Control, Dynamic, Looking, always, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::{Setup, Unstartable};
use crate::seen::Seen;
use crate::subject::Subject;
use crate::verdict::Verdict;

pub(super) const CLEAN: Dynamic = Dynamic {
    id: ProbeId::IiClean,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass),
        Control::new(&[Behaviour::NeedsUndeclared], Verdict::Fail).with(|subject| {
            subject.environment.insert("PYTHONPATH".to_owned(), "/nowhere".to_owned());
        }),
    ],
};

/// Folders of every system.
const SYSTEM: &[&str] =
    &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Variables that lead to what is installed on one machine and declared nowhere.
const LEADING: &[&str] = &[
    "CLASSPATH",
    "CPATH",
    "GEM_HOME",
    "GEM_PATH",
    "GOPATH",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LIBRARY_PATH",
    "NODE_PATH",
    "PERL5LIB",
    "PKG_CONFIG_PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "RUBYLIB",
    "RUBYOPT",
    "VIRTUAL_ENV",
];
/// Interpreters and what starts them count as declared.
const RUNTIMES: &[&str] = &[
    "bun", "bundle", "cargo", "deno", "dotnet", "go", "gradle", "java", "mvn", "node", "npm",
    "npx", "perl", "php", "pnpm", "poetry", "python", "python3", "ruby", "uv", "yarn",
];
/// Where version managers keep interpreters, below the home of a person, and the variable that
/// says so.
const HOMES: &[(&str, &str)] = &[
    ("ASDF_DATA_DIR", ".asdf"),
    ("CARGO_HOME", ".cargo"),
    ("MISE_DATA_DIR", ".local/share/mise"),
    ("NVM_DIR", ".nvm"),
    ("PYENV_ROOT", ".pyenv"),
    ("RBENV_ROOT", ".rbenv"),
    ("RUSTUP_HOME", ".rustup"),
    ("SDKMAN_DIR", ".sdkman"),
    ("UV_PYTHON_INSTALL_DIR", ".local/share/uv/python"),
    ("VOLTA_HOME", ".volta"),
];

async fn look(bench: Bench) -> Seen {
    // The empty home has to live as long as the program.
    let home = match bench.lab.place() {
        Ok(home) => home,
        Err(error) => return Seen::unknown(format!("there is no empty home for it: {error}")),
    };
    let only = environment(&bench.subject, &home);
    let setup = Setup { only: Some(only.clone()), ..Setup::new(bench.shape) };
    let error = match bench.lab.start(&bench.subject, &setup, bench.patience()).await {
        Ok(running) => {
            let mut seen = Seen::pass(
                "it is ready with its declared variables, an empty home, and a PATH of the \
                 system's folders and of its interpreter",
            );
            seen.timeline = running.end().await;
            return seen;
        }
        Err(error) => error,
    };
    let tail = match &error {
        Unstartable::Ended { tail, .. } | Unstartable::NotReady { tail, .. } => tail.clone(),
        other => return Seen::unknown(unready(other)),
    };
    // It is the surroundings only if it comes up in its own.
    match bench.start().await {
        Ok(running) => drop(running.end().await),
        Err(seen) => return seen,
    }
    let ended = matches!(error, Unstartable::Ended { .. });
    verdict(ended, &tail, &unready(&error)).reproduced_by(pasted(&bench, &only))
}

/// Without a name of what is missing it may be something else than a dependency.
fn verdict(ended: bool, tail: &[String], why: &str) -> Seen {
    // Who is only slow has said nothing with its last lines.
    match tail.iter().find(|line| ended && is_missing(line)) {
        Some(line) => Seen::fail(format!(
            "without what is installed on this machine and not declared it does not start: {}",
            line.trim()
        )),
        None => Seen::warn(format!(
            "with an empty home and nothing but its declared variables it does not start: {why}"
        )),
    }
}

/// Whether a line names something that is not there.
fn is_missing(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    [
        "enoent",
        "no such file or directory",
        "command not found",
        ": not found",
        "no module named",
        "cannot find module",
        "cannot find package",
        "cannot load such file",
        "could not find or load main class",
        "cannot open shared object file",
        "executable file not found",
    ]
    .iter()
    .any(|words| line.contains(words))
}

/// The variables of a clean start.
fn environment(subject: &Subject, home: &Path) -> BTreeMap<String, String> {
    let own = &subject.environment;
    let declared = |name: &String| {
        subject.config.contains_key(name)
            || !(LEADING.contains(&name.as_str()) || name == "PATH" || name == "HOME")
    };
    let kept = own.iter().filter(|(name, _)| declared(name));
    let mut only: BTreeMap<_, _> =
        kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(person) = own.get("HOME") {
        for (variable, inside) in HOMES {
            let folder = Path::new(person).join(inside);
            if folder.is_dir() {
                let folder = folder.to_string_lossy().into_owned();
                only.entry((*variable).to_owned()).or_insert(folder);
            }
        }
    }
    only.insert("HOME".to_owned(), home.to_string_lossy().into_owned());
    only.insert("PATH".to_owned(), path(subject));
    only
}

/// The interpreter's folder, those of its own folder, and those of every system.
fn path(subject: &Subject) -> String {
    let own = subject.environment.get("PATH").map(String::as_str).unwrap_or_default();
    let folders: Vec<PathBuf> =
        own.split(':').filter(|it| !it.is_empty()).map(Into::into).collect();
    let program = subject.argv.first().map(String::as_str).unwrap_or_default();
    let named =
        RUNTIMES.iter().copied().chain([program].into_iter().filter(|it| !it.contains('/')));
    let mut kept: Vec<PathBuf> = Vec::new();
    // In the order of PATH, so that the same one of two versions is found.
    let named: Vec<&str> = named.collect();
    for folder in &folders {
        let holds = named.iter().any(|name| folder.join(name).is_file());
        if holds || folder.starts_with(&subject.folder) {
            kept.push(folder.clone());
        }
    }
    if program.contains('/')
        && let Some(folder) = subject.folder.join(program).parent()
    {
        kept.push(folder.to_owned());
    }
    kept.extend(SYSTEM.iter().map(PathBuf::from));
    let mut seen = Vec::new();
    kept.retain(|folder| {
        let new = !seen.contains(folder);
        seen.push(folder.clone());
        new
    });
    let texts: Vec<_> = kept.iter().map(|folder| folder.to_string_lossy().into_owned()).collect();
    texts.join(":")
}

/// Values of its own configuration may be secrets and are not repeated.
fn pasted(bench: &Bench, only: &BTreeMap<String, String>) -> String {
    let subject = &bench.subject;
    let shown = |name: &str| name == "PATH" || HOMES.iter().any(|(variable, _)| *variable == name);
    let words = only.iter().filter(|(name, _)| name.as_str() != "HOME").map(|(name, value)| {
        match shown(name) {
            true => format!("{name}={}", shell_words::quote(value)),
            false => format!("{name}=\"${name}\""),
        }
    });
    let words: Vec<_> = words.collect();
    let folder = subject.folder.to_string_lossy().into_owned();
    format!(
        "cd {} && env -i HOME=$(mktemp -d) {} {}=8080 {}",
        shell_words::quote(&folder),
        words.join(" "),
        subject.port_variable,
        subject.line()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_the_missing_thing_is_a_failure() {
        let table = [
            ("/bin/sh: 1: convert: not found", Verdict::Fail),
            ("Error: spawn convert ENOENT", Verdict::Fail),
            ("ModuleNotFoundError: No module named 'flask'", Verdict::Fail),
            ("Error: Cannot find module 'express'", Verdict::Fail),
            ("KeyError: 'USER'", Verdict::Warn),
        ];
        for (line, expected) in table {
            assert_eq!(verdict(true, &[line.to_owned()], "").verdict, expected, "{line}");
            assert_eq!(verdict(false, &[line.to_owned()], "").verdict, Verdict::Warn, "{line}");
        }
    }

    #[test]
    fn values_of_its_own_stay_and_what_leads_to_this_machine_goes() {
        let own = [("PYTHONPATH", "/a"), ("DATABASE_URL", "x"), ("HOME", "/h"), ("PATH", "/opt")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let subject = Subject::command(vec!["x".into()], "/nowhere".into(), own.into());
        let only = environment(&subject, Path::new("/empty"));
        assert_eq!(only.get("HOME").map(String::as_str), Some("/empty"));
        assert_eq!(only.get("DATABASE_URL").map(String::as_str), Some("x"));
        assert!(!only.contains_key("PYTHONPATH"));
        assert_eq!(only.get("PATH"), Some(&SYSTEM.join(":")));
    }
}
