//! What the documents tell people to type is typed here.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, Turn, repository};

/// The lines of every `sh` block of a page, in order; empty lines and comments left out.
fn typed(page: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            "" => {}
            command if inside && !command.starts_with('#') => lines.push(command.to_owned()),
            _ => {}
        }
    }
    Ok(lines)
}

#[test]
fn every_command_of_the_guide_works_in_its_order() -> Result<()> {
    let _turn = Turn::take("shop")?;
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    let commands = typed(&repository().join("docs/guide/run-a-system.md"))?;
    ensure!(commands.len() >= 10, "the guide has lost its commands: {commands:?}");
    let programs = system.program().parent().context("the command is in a folder")?;
    let path = env::var("PATH").unwrap_or_default();
    for line in commands {
        let mut shell = system.bare("sh");
        shell.args(["-ec", &line]).current_dir(repository());
        shell.env("PATH", format!("{}:{path}", programs.display()));
        system.finish(shell)?.expect(0)?;
    }
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_verb_that_the_readme_names_exists() -> Result<()> {
    let system = TestSystem::empty()?;
    let mut verbs = BTreeSet::new();
    for line in typed(&repository().join("README.md"))? {
        let mut words = line.split_whitespace().map(str::to_owned);
        let starts = words.find(|word| word == "updraft" || word == "--");
        verbs.extend(starts.and_then(|_| words.find(|word| is_verb(word))));
    }
    ensure!(verbs.contains("up") && verbs.contains("ps"), "the README names only {verbs:?}");
    for verb in verbs {
        system.ok(&[verb.as_str(), "--help"])?;
    }
    Ok(())
}

/// `-C examples/shop` stands before the verb.
fn is_verb(word: &str) -> bool {
    word.bytes().all(|letter| letter.is_ascii_lowercase())
}
