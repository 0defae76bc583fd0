//! `updraft check` on what only a whole system has: its builds and its deploys.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use integration_tests::TestSystem;

const MANIFEST: &str = r#"system = "shop"
[service.orders]
run = "sleep 100"
build = { run = "mkdir -p made && date +%s%N > made/at", keep = ["made"] }
[service.orders.config]
TOKEN = "secret"
LEVEL = { type = "string", default = "info" }
"#;
/// Part of each value, and of nothing else.
const CANARY: &str = "hunter2";

/// What a probe says of the service, by its id.
fn says(system: &TestSystem, probe: &str) -> Result<(String, String)> {
    let outcome = system.run(&["check", "--only", probe, "--format", "json"])?;
    ensure!(matches!(outcome.code, Some(0 | 1)), "{}", outcome.said());
    ensure!(!outcome.said().contains(CANARY), "a value is told: {}", outcome.said());
    let report = outcome.json()?;
    let finding = &report["probes"][0];
    let text = |key: &str| Ok::<_, anyhow::Error>(finding[key].as_str().context("text")?.into());
    Ok((text("verdict")?, text("evidence")?))
}

fn expect(system: &TestSystem, probe: &str, verdict: &str, part: &str) -> Result<()> {
    let (got, evidence) = says(system, probe)?;
    ensure!(got == verdict && evidence.contains(part), "{probe} is {got}: {evidence}");
    Ok(())
}

fn committed(manifest: &str) -> Result<TestSystem> {
    let system = TestSystem::new(manifest)?;
    system.write(".gitignore", "made/\n")?;
    for words in [&["init", "-q"][..], &["add", "."], &["commit", "-q", "-m", "one"]] {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(words);
        ensure!(git.current_dir(system.directory()).status()?.success(), "git {words:?}");
    }
    Ok(system)
}

#[test]
fn deploys_are_compared_by_their_releases_and_no_value_is_told() -> Result<()> {
    let system = committed(MANIFEST)?;
    expect(&system, "X.digest", "not_applicable", "fewer than two")?;
    for deploy in ["staging", "production"] {
        let value = format!("orders.TOKEN={CANARY}-{deploy}");
        system.ok(&["config", "set", "-e", deploy, &value])?;
    }
    system.ok(&["release", "-e", "staging"])?;
    system.ok(&["promote", "staging", "production"])?;
    expect(&system, "X.digest", "pass", "one artefact in production")?;
    expect(&system, "X.keys", "pass", "the same variables")?;

    // A second build of the same commit for the other deploy.
    fs::remove_dir_all(system.directory().join("made"))?;
    system.ok(&["release", "-e", "production"])?;
    expect(&system, "X.digest", "warn", "two builds of commit")?;

    system.ok(&["config", "set", "-e", "production", &format!("orders.LEVEL={CANARY}")])?;
    expect(&system, "X.keys", "pass", "LEVEL is set in production")?;
    system.write("updraft.toml", &format!("{MANIFEST}MAIL_KEY = \"secret\"\n"))?;
    system.ok(&["config", "set", "-e", "staging", &format!("orders.MAIL_KEY={CANARY}")])?;
    expect(&system, "X.keys", "warn", "MAIL_KEY is set in staging")
}

#[test]
fn what_build_verify_has_shown_holds_as_long_as_the_sources_do() -> Result<()> {
    let manifest = MANIFEST.replace("date +%s%N", "cat source");
    let system = committed(&manifest)?;
    system.write("source", "one\n")?;
    expect(&system, "V.repro", "pass", "two builds are the same")?;
    let outcome = system.ok(&["build", "orders", "--verify"])?;
    ensure!(outcome.stderr.contains("the second build had another path"), "{}", outcome.stderr);
    expect(&system, "V.repro", "pass", "`updraft build --verify` has built these sources")?;
    system.write("source", "two\n")?;
    expect(&system, "V.repro", "pass", "two builds are the same")?;
    let manifest = MANIFEST.replace("keep = [\"made\"]", "keep = [\"made\"], reproducible = true");
    system.write("updraft.toml", &manifest)?;
    let (verdict, evidence) = says(&system, "V.repro")?;
    ensure!(verdict == "fail" && evidence.contains("app/made/at from byte"), "{evidence}");
    Ok(())
}
