//! `docs/reference/cli.md`, and a page below it for each verb that has verbs of its own, made
//! from the words of the command line, so that the two cannot differ.
//! `UPDATE_DOCS=1 cargo test -p updraft-cli` writes them anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory as _};

use crate::cli::Cli;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference");

const MADE: &str = "<!-- Made from the command itself: `UPDATE_DOCS=1 cargo test -p updraft-cli` writes it anew. -->";

/// What stands on the page of one verb.
const BELOW: &str = "
What holds for every verb, its options and exit codes, is in [the command line](../cli.md).
";

const HEAD: &str = "\
# The command line

<!-- Made from the command itself: `UPDATE_DOCS=1 cargo test -p updraft-cli` writes it anew. -->

Results go to stdout and everything else to stderr, so a pipe holds results alone.
Colours and moving lines are for terminals; `NO_COLOR` turns colours off there.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a finding: something could not start, had to be killed, is not ready, is not running |
| 2 | the command line, the manifest or its configuration is wrong |
| 4 | this machine lacks something: a package, a free port, a permission |

`updraft task` gives back the exit code of the task; a task killed by a signal gives
128 and the signal's number.

With `--json` a verb writes its result as JSON to stdout. An error is then one JSON
object on stderr: `error`, `causes`, `help` and `exit`; for a manifest with problems
`error`, `exit` and `problems`, each with `file`, `line`, `column`, `code`, `message`
and `help`.

A verb works on the system of the nearest `updraft.toml`, in the working directory or
above it (`-C DIR` starts elsewhere). Without one, a `Procfile` in that directory is
enough: each of its lines is a service, and the folder's name is the system's.
";

/// The pages, each with its path in the folder of references.
fn reference() -> Vec<(PathBuf, String)> {
    let mut root = Cli::command();
    root.build();
    let mut text = HEAD.to_owned();
    text.push_str("\n## Options of every verb\n\n");
    root.get_arguments().filter(|arg| arg.is_global_set()).for_each(|arg| describe(&mut text, arg));
    let mut pages = Vec::new();
    for verb in root.get_subcommands_mut() {
        let name = verb.get_name().to_owned();
        if name == "help" || verb.get_subcommands().count() == 0 {
            describe_verbs(&mut text, verb, "");
            continue;
        }
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(text, "\n## `{name}`\n\n{about}: [its verbs](cli/{name}.md).").unwrap();
        let mut page = format!("# `updraft {name}`\n\n{MADE}\n{BELOW}");
        describe_verbs(&mut page, verb, "");
        pages.push((Path::new("cli").join(format!("{name}.md")), page));
    }
    pages.push(("cli.md".into(), text));
    pages
}

/// A verb, and those below it.
fn describe_verbs(text: &mut String, verb: &mut Command, above: &str) {
    if verb.get_name() == "help" {
        return;
    }
    let name = format!("{above}{}", verb.get_name());
    describe_verb(text, verb, &name);
    for below in verb.get_subcommands_mut() {
        describe_verbs(text, below, &format!("{name} "));
    }
}

fn describe_verb(text: &mut String, verb: &mut Command, name: &str) {
    let usage = verb.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(text, "\n## `{name}`\n\n{about}.\n\n```text\n{usage}\n```\n").unwrap();
    let own = |arg: &&Arg| {
        !arg.is_global_set()
            && !arg.is_hide_set()
            && !["help", "version"].contains(&arg.get_id().as_str())
    };
    verb.get_arguments().filter(own).for_each(|arg| describe(text, arg));
    if let Some(examples) = verb.get_after_help() {
        writeln!(text, "\n```text\n{}\n```", examples.to_string().trim_end()).unwrap();
    }
}

fn describe(text: &mut String, arg: &Arg) {
    let names = arg.get_value_names().unwrap_or_default();
    let values: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
    let takes_values = arg.get_action().takes_values();
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let mut form = [short, long].into_iter().flatten().collect::<Vec<_>>().join(", ");
    if takes_values {
        form = format!("{form} {}", values.join(" ")).trim().to_owned();
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    writeln!(text, "- `{form}`: {help}").unwrap();
}

#[test]
fn the_reference_is_what_the_command_says() {
    for (name, current) in reference() {
        let file = Path::new(FOLDER).join(&name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &current).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            written == current,
            "docs/reference/{} is out of date: UPDATE_DOCS=1 cargo test -p updraft-cli",
            name.display()
        );
    }
}
