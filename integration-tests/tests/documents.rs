//! What the documents tell people to type is typed here.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, Turn, build_example, repository};

/// Every `sh` block of a page, in order, as scripts.
fn scripts(page: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let blocks = text.split("```sh\n").skip(1);
    let scripts = blocks.filter_map(|block| Some(block.split_once("\n```")?.0.to_owned()));
    Ok(scripts.collect())
}

/// Runs every script of a page as somebody would who has the command in their `PATH`.
fn follow(system: &TestSystem, page: &str, blocks_min: usize) -> Result<()> {
    follow_in(system, repository(), page, blocks_min)
}

/// The same, with each script in this folder.
fn follow_in(system: &TestSystem, folder: &Path, page: &str, blocks_min: usize) -> Result<()> {
    let scripts = scripts(&repository().join(page))?;
    ensure!(blocks_min <= scripts.len(), "{page} has lost its commands: {scripts:?}");
    let programs = system.program().parent().context("the command is in a folder")?;
    let path = env::var("PATH").unwrap_or_default();
    for script in scripts {
        let mut shell = system.bare("sh");
        shell.args(["-ec", &script]).current_dir(folder);
        // What pages ask of cargo is in its cache: the repository is built from it.
        shell.env("CARGO_NET_OFFLINE", "true");
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
fn every_command_of_the_page_on_limits_works_in_its_order() -> Result<()> {
    let _turn = Turn::take("shop")?;
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    follow(&system, "docs/guide/limits-and-privileges.md", 3)?;
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
fn every_command_of_the_scaling_and_the_tasks_page_works_in_its_order() -> Result<()> {
    let _turn = Turn::take("load")?;
    let system = TestSystem::at(&repository().join("examples/load"))?;
    follow(&system, "docs/guide/scaling.md", 3)?;
    system.expect_nothing(&[], Duration::ZERO)?;
    follow(&system, "docs/guide/tasks.md", 4)?;
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_command_of_the_roll_out_page_works_in_its_order() -> Result<()> {
    let _turn = Turn::take("canary")?;
    let system = TestSystem::at(&repository().join("examples/canary"))?;
    follow(&system, "docs/guide/roll-out.md", 2)?;
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_command_of_the_check_page_works_in_its_order() -> Result<()> {
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    follow(&system, "docs/guide/check.md", 8)?;
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_command_of_the_ci_page_works_in_its_order() -> Result<()> {
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    follow(&system, "docs/guide/ci.md", 4)
}

#[test]
fn every_command_of_the_reboot_page_works_in_its_order() -> Result<()> {
    let _turn = Turn::take("canary")?;
    let system = TestSystem::at(&repository().join("examples/canary"))?;
    follow(&system, "docs/guide/reboot.md", 3)?;
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_command_of_the_moving_page_works() -> Result<()> {
    let system = TestSystem::empty()?;
    let examples = system.directory().join("moving");
    let mut copy = system.bare("cp");
    copy.arg("-r").arg(repository().join("examples/moving")).arg(&examples);
    system.finish(copy)?.expect(0)?;
    follow_in(&system, &examples, "docs/guide/moving.md", 3)?;
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_command_of_the_build_page_works_in_its_order() -> Result<()> {
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    follow(&system, "docs/guide/build.md", 2)
}

#[test]
fn every_command_of_the_releases_page_works_in_its_order() -> Result<()> {
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    follow(&system, "docs/guide/releases.md", 5)?;
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_command_of_the_tutorial_works_in_its_order() -> Result<()> {
    let _turn = Turn::take("notes")?;
    let system = TestSystem::empty()?;
    build_example("notes")?;
    follow(&system, "docs/guide/tutorial.md", 8)?;
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn every_command_of_the_factor_pages_works() -> Result<()> {
    let _turn = Turn::take("notes")?;
    let system = TestSystem::empty()?;
    build_example("notes")?;
    for factor in ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"] {
        follow(&system, &format!("docs/guide/factors/{factor}.md"), 1)?;
    }
    system.expect_nothing(&[], Duration::ZERO)
}

#[test]
fn each_block_of_the_tutorial_stands_in_the_finished_service() -> Result<()> {
    let text = fs::read_to_string(repository().join("docs/guide/tutorial.md"))?;
    let mut blocks = 0;
    for block in text.split("\n```").skip(1).step_by(2) {
        let (info, block) = block.split_once('\n').context("a block without an end")?;
        let Some((_language, file)) = info.split_once(' ') else {
            ensure!(info == "sh", "a block of `{info}` does not say in which file it is");
            continue;
        };
        let source = fs::read_to_string(repository().join("examples/tutorial").join(file))
            .with_context(|| file.to_owned())?;
        let mut lines = source.lines();
        for line in block.lines().filter(|line| !line.trim().is_empty()) {
            ensure!(lines.any(|other| other == line), "{file} has no `{line}` there");
        }
        blocks += 1;
    }
    ensure!(blocks >= 12, "the tutorial has lost its blocks: {blocks}");
    Ok(())
}

/// The variables of the chassis as a service declares them.
fn chassis_variables(system: &TestSystem, process: &str) -> Result<BTreeSet<String>> {
    let program = system.program().with_file_name("notes");
    let mut explain = system.bare(program);
    explain.args(["config", "explain", "--json", "--process", process]);
    explain.env("DB_URL", "sqlite:notes.db").env("PORT", "8080");
    let said: serde_json::Value = serde_json::from_str(&system.finish(explain)?.expect(0)?.stdout)?;
    let variables = said["variables"].as_array().context("no variables")?;
    let of_chassis = variables.iter().filter(|variable| variable["group"] == "chassis");
    Ok(of_chassis.filter_map(|it| Some(it["variable"].as_str()?.to_owned())).collect())
}

#[test]
fn each_variable_of_the_chassis_has_one_row_in_the_reference() -> Result<()> {
    let system = TestSystem::empty()?;
    build_example("notes")?;
    let mut declared = chassis_variables(&system, "web")?;
    declared.extend(chassis_variables(&system, "worker")?);
    ensure!(declared.len() > 40, "too few variables: {declared:?}");
    let pages = ["http", "health", "telemetry", "jobs", "cache", "idempotency", "auth"];
    let mut rows = Vec::new();
    for page in pages {
        let text =
            fs::read_to_string(repository().join("docs/reference").join(format!("{page}.md")))?;
        let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
        rows.extend(cells.flat_map(|(names, _)| names.split('`').map(str::to_owned)));
    }
    let index = fs::read_to_string(repository().join("docs/reference/configuration.md"))?;
    for variable in declared {
        let times = rows.iter().filter(|row| **row == variable).count();
        ensure!(times == 1, "{variable} has {times} rows in {pages:?}");
        let named = index.contains(&format!("`{variable}`"));
        ensure!(named, "configuration.md does not say where {variable} is described");
    }
    Ok(())
}

#[test]
fn every_request_of_the_control_api_page_works() -> Result<()> {
    let _turn = Turn::take("shop")?;
    let system = TestSystem::at(&repository().join("examples/shop"))?;
    system.ok(&["up", "-d"])?;
    follow(&system, "docs/reference/control-api.md", 3)?;
    let page = fs::read_to_string(repository().join("docs/reference/control-api.md"))?;
    let routes: Vec<_> = page.lines().filter_map(route).collect();
    ensure!(routes.len() >= 22, "the page has lost its routes: {routes:?}");
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
