//! What a shell offers behind `updraft`, asked of a real bash with the script that the command
//! prints, and of the command as zsh and fish ask it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use integration_tests::TestSystem;

const MANIFEST: &str = r#"
system = "shop"

[resource]
db = { kind = "sql" }

[service.orders]
needs = ["db", "pricing"]
process = { web = { run = "python3 web.py" }, worker = { run = "python3 web.py" } }
task = { migrate = { run = "true" } }

[service.pricing]
run = "python3 web.py"
"#;

/// What bash offers for the last of these words.
fn offered(system: &TestSystem, at: &Path, words: &[&str]) -> Result<Vec<String>> {
    let script = system.ok(&["completions", "bash"])?.stdout;
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let (last, before) = (words.last().context("no word")?, words.len() - 1);
    let ask = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={before}\n\
         _clap_complete_updraft updraft '{last}' ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        quoted.join(" ")
    );
    let mut bash = system.bare("bash");
    let folder = system.program().parent().context("the command lies nowhere")?;
    let path = std::env::var("PATH").unwrap_or_default();
    bash.args(["--norc", "-c", &ask]).env("PATH", format!("{}:{path}", folder.display()));
    bash.current_dir(at);
    let said = system.finish(bash)?.expect(0)?;
    let lines = said.stdout.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut offered: Vec<String> = lines.map(str::to_owned).collect();
    offered.sort();
    Ok(offered)
}

#[test]
fn names_of_the_system_are_offered_where_they_fit() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    let at = system.directory();
    std::fs::create_dir(at.join("prices"))?;
    for (words, expected) in [
        (&["logs", "or"][..], &["orders", "orders.migrate", "orders.web", "orders.worker"][..]),
        (&["logs", "-f", "d"], &["db"]),
        (&["logs", "pricing", "orders.w"], &["orders.web", "orders.worker"]),
        (&["restart", "orders."], &["orders.web", "orders.worker"]),
        (&["scale", "orders.wo"], &["orders.worker="]),
        (&["task", "o"], &["orders.migrate"]),
        (&["attach", "d"], &["db"]),
        (&["mesh", "split", "p"], &["pricing"]),
        (&["mesh", "show", "o"], &["orders"]),
        (&["mesh", "rotate", "o"], &["orders"]),
        (&["mesh", "route", "pricing", "--from", "o"], &["orders"]),
        (&["up", "pric"], &["pricing", "prices/"]),
        (&["tap", "o"], &["orders"]),
        (&["resta"], &["restart"]),
        (&["logs", "nobody"], &[]),
    ] {
        let words = [&["updraft"], words].concat();
        let (offered, mut expected) = (offered(&system, at, &words)?, expected.to_vec());
        expected.sort_unstable();
        ensure!(offered == expected, "{words:?}: {offered:?}");
    }
    Ok(())
}

#[test]
fn the_system_is_that_of_the_folder_that_is_named() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    let (elsewhere, at) = (system.root(), system.directory().display().to_string());
    let long = format!("--directory={at}");
    for words in [
        &["updraft", "-C", &at, "task", ""][..],
        &["updraft", "--directory", &at, "task", ""],
        &["updraft", &long, "task", ""],
        &["updraft", "task", "-C", &at, ""],
    ] {
        let offered = offered(&system, elsewhere, words)?;
        ensure!(offered.iter().any(|it| it == "orders.migrate"), "{words:?}: {offered:?}");
    }
    // Where there is none, or one with mistakes, nothing is offered, and nothing is said.
    ensure!(offered(&system, elsewhere, &["updraft", "attach", "d"])?.is_empty());
    system.write("updraft.toml", "system = \n[service.orders")?;
    ensure!(offered(&system, system.directory(), &["updraft", "attach", "d"])?.is_empty());
    Ok(())
}

#[test]
fn every_verb_is_offered_and_other_shells_ask_in_the_same_way() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    let verbs = offered(&system, system.directory(), &["updraft", ""])?;
    for verb in ["up", "logs", "mesh", "completions", "gateway"] {
        ensure!(verbs.iter().any(|it| it == verb), "{verb} is not in {verbs:?}");
    }
    for (shell, word) in [("zsh", "#compdef updraft"), ("fish", "complete --keep-order")] {
        let script = system.ok(&["completions", shell])?.stdout;
        ensure!(script.starts_with(word), "{script}");
        ensure!(script.contains(&format!("UPDRAFT_COMPLETE=\"{shell}\"")) || shell == "fish");
        let mut command = system.command()?;
        command.env("UPDRAFT_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "2");
        command.args(["--", "updraft", "task", ""]).current_dir(system.directory());
        let said = system.finish(command)?.expect(0)?;
        ensure!(said.stdout.contains("orders.migrate"), "{shell}: {said:?}");
    }
    Ok(())
}
