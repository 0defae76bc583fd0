//! What the documents tell people to type is typed here.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, Turn, repository};

/// Every `sh` block of a page, in order, as scripts.
fn scripts(page: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let blocks = text.split("```sh\n").skip(1);
    let scripts = blocks.filter_map(|block| Some(block.split_once("\n```")?.0.to_owned()));
    Ok(scripts.collect())
}

/// Runs every script of a page as somebody would who has the command in their `PATH`.
fn follow(system: &TestSystem, page: &str, blocks_min: usize) -> Result<()> {
    let scripts = scripts(&repository().join(page))?;
    ensure!(blocks_min <= scripts.len(), "{page} has lost its commands: {scripts:?}");
    let programs = system.program().parent().context("the command is in a folder")?;
    let path = env::var("PATH").unwrap_or_default();
    for script in scripts {
        let mut shell = system.bare("sh");
        shell.args(["-ec", &script]).current_dir(repository());
        shell.env("PATH", format!("{}:{path}", programs.display()));
        system.finish(shell)?.expect(0)?;
    }
    Ok(())
}

#[test]
fn every_command_of_the_guide_works_in_its_order() -> Result<()> {
    let _turn = Turn::take("shop")?;
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    follow(&system, "docs/guide/run-a-system.md", 7)?;
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_command_of_the_wire_page_works_in_its_order() -> Result<()> {
    let _turn = Turn::take("canary")?;
    let system = TestSystem::at(&repository().join("examples/canary"))?;
    follow(&system, "docs/guide/the-wire.md", 9)?;
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_command_of_the_check_page_works_in_its_order() -> Result<()> {
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    follow(&system, "docs/guide/check.md", 8)?;
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_request_of_the_control_api_page_works() -> Result<()> {
    let _turn = Turn::take("shop")?;
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    system.ok(&["up", "-d"])?;
    follow(&system, "docs/reference/control-api.md", 3)?;
    let page = fs::read_to_string(repository().join("docs/reference/control-api.md"))?;
    let routes: Vec<_> = page.lines().filter_map(route).collect();
    ensure!(routes.len() >= 21, "the page has lost its routes: {routes:?}");
    for (method, path) in routes {
        // Another method changes nothing, and the refusal names the right one.
        let mut curl = system.bare("curl");
        curl.args(["--silent", "--include", "--request", "PATCH", "--unix-socket"]);
        curl.arg(system.control_socket()?).arg(format!("http://updraft{path}"));
        let answer = system.finish(curl)?.expect(0)?.stdout.to_lowercase();
        let allow = answer.lines().find_map(|line| line.strip_prefix("allow: "));
        let mut allowed = allow.unwrap_or_default().trim_end().split(", ");
        let known = allowed.any(|known| known == method.to_lowercase());
        ensure!(known, "{method} {path} is not answered as described: {answer}");
    }
    system.ok(&["down"])?;
    system.expect_nothing(&[], Duration::ZERO)
}

/// Method and path of a row of the table of routes, with names of the shop's in its holes.
fn route(line: &str) -> Option<(&str, String)> {
    let (method, path) = line.strip_prefix("| `")?.split_once('`')?.0.split_once(' ')?;
    let path = path.replace("{service}/{task}", "orders/migrate");
    let path = path.replace("{service}/{process}", "orders/web").replace("{name}", "db");
    let path = path.replace("{service}", "pricing");
    path.starts_with("/v1/").then_some((method, path))
}

#[test]
fn every_verb_that_the_readme_names_exists() -> Result<()> {
    let system = TestSystem::empty()?;
    let mut verbs = BTreeSet::new();
    let scripts = scripts(&repository().join("README.md"))?;
    for line in scripts.iter().flat_map(|script| script.lines()) {
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
