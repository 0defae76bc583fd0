//! Values and releases by the command: what it takes, says, and never says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use integration_tests::{Outcome, TestSystem};
use jiff::Timestamp;
use serde_json::Value;
use updraft_release::{Author, KeyFile, NewRelease, Store};
use updraft_system::release::{Artifact, ManifestForm, Sha256};

const MANIFEST: &str = r#"system = "shop"
[resource]
db = { kind = "postgres" }
[service.orders]
run    = "./orders"
needs  = ["db"]
config = { PAGE_SIZE = { type = "int", min = 1, default = 50 }, TOKEN = "secret", HOOK = "url" }
"#;

/// Part of every secret here, and of nothing else.
const CANARY: &str = "hunter2";
const VALUES: &str = "# of production\norders.TOKEN = 'hunter2-token'\n\
                      orders.HOOK=https://u:hunter2-hook@hook.example/x\n\
                      db=postgresql://app:hunter2-db@db.example/shop\n";

/// Runs the verb with words on its stdin.
fn with_stdin(system: &TestSystem, arguments: &[&str], input: &str) -> Result<Outcome> {
    let file = system.root().join("stdin");
    fs::write(&file, input)?;
    let mut command = system.command()?;
    command.args(arguments).stdin(Stdio::from(fs::File::open(&file)?));
    let outcome = system.finish(command)?;
    fs::remove_file(&file)?;
    Ok(outcome)
}

fn store(system: &TestSystem) -> Result<Store> {
    let states = fs::read_dir(system.state_home().join("updraft"))?;
    let states: Vec<PathBuf> = states.map(|state| Ok(state?.path())).collect::<Result<_>>()?;
    let [state] = states.as_slice() else { anyhow::bail!("not one system: {states:?}") };
    Ok(Store::open(state.join("releases"), KeyFile::at(key(system)))?)
}

fn key(system: &TestSystem) -> PathBuf {
    system.root().join("config/updraft/age.key")
}

/// Makes a release of a build, as a release is made of what was built.
fn release(system: &TestSystem, deploy: &str, digit: char) -> Result<()> {
    let store = store(system)?;
    let digest = Sha256::of_hex(&String::from(digit).repeat(64))?;
    let build = Artifact { digest, commit: Some("c0ffee".to_owned()), dirty: false };
    let new = NewRelease {
        deploy: deploy.parse()?,
        builds: [("orders".parse()?, build)].into(),
        manifest: MANIFEST.to_owned(),
        form: ManifestForm::Toml,
        note: None,
    };
    let author = Author { who: "ci".to_owned(), now: Timestamp::now() };
    let release = store.append(new, &author)?;
    store.set_current(release.number)?;
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

fn settings(system: &TestSystem, deploy: &str) -> Result<Vec<(String, String, Value)>> {
    let list = system.ok(&["config", "ls", "-e", deploy, "--json"])?.json()?;
    let list = list.as_array().context("a list")?.clone();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let row = |it: &Value| (text(it, "setting"), text(it, "state"), it["value"].clone());
    Ok(list.iter().map(row).collect())
}

#[test]
fn values_are_checked_encrypted_and_never_shown() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    let mut said = String::new();
    let wrong =
        ["config", "set", "orders.PAGE_SIZE=0", "orders.TOKN=hunter2", "orders.HOOK=hunter2"];
    let refused = system.run(&wrong)?.expect(2)?;
    for part in ["3 things", "at least 1", "did you mean `TOKEN`?", "orders.HOOK is not an"] {
        ensure!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    said.push_str(&refused.said());
    for words in [&["orders.token hunter2"][..], &["postgres://u:hunter2@h/?a=b", "hunter2"]] {
        let words = [&["config", "set"], words].concat();
        said.push_str(&system.run(&words)?.expect(2)?.said());
    }
    let secret_key = "AGE-SECRET-KEY-1HUNTER2";
    let refused = system.run(&["config", "recipients", "add", secret_key])?.expect(2)?;
    ensure!(!refused.said().contains("HUNTER2"), "{}", refused.said());
    ensure!(!key(&system).exists(), "nothing was set, and no key was made");

    let words = ["config", "set", "-e", "production", "--file", "-"];
    said.push_str(&with_stdin(&system, &words, VALUES)?.expect(0)?.said());
    let words = ["config", "set", "-e", "production", "orders.TOKEN=-", "orders.PAGE_SIZE=7"];
    said.push_str(&with_stdin(&system, &words, "hunter2 of\ntwo lines\n")?.expect(0)?.said());
    let argument = system.ok(&["config", "set", "-e", "staging", "orders.TOKEN=hunter2-arg"])?;
    ensure!(argument.stderr.contains("everybody on this machine"), "{}", argument.stderr);
    said.push_str(&argument.said());
    for verb in [&["ls"][..], &["ls", "--json"], &["diff"], &["diff", "staging", "--json"]] {
        let words = [&["config"], verb, &["-e", "production"]].concat();
        said.push_str(&system.ok(&words)?.said());
    }
    ensure!(said.contains("(secret)") && !said.contains(CANARY), "{said}");
    for file in files_below(system.root())? {
        let content = String::from_utf8_lossy(&fs::read(&file)?).into_owned();
        ensure!(!content.contains(CANARY), "{}", file.display());
    }
    let list = settings(&system, "production")?;
    let expected = [
        ("orders.HOOK", "set", "https://…@hook.example/x".into()),
        ("orders.PAGE_SIZE", "set", "7".into()),
        ("orders.TOKEN", "set", Value::Null),
        ("db", "set", "postgresql://…@db.example/shop".into()),
    ];
    let expected = expected.map(|(name, state, value)| (name.to_owned(), state.to_owned(), value));
    ensure!(list == expected, "{list:?}");
    system.ok(&["config", "unset", "-e", "production", "orders.PAGE_SIZE"])?;
    ensure!(settings(&system, "production")?[1].2 == "50");
    system.run(&["config", "unset", "-e", "production", "orders.PAGE_SIZE"])?.expect(2)?;
    Ok(())
}

#[test]
fn releases_are_told_rolled_back_and_promoted() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    system.ok(&["release", "ls"])?;
    system.run(&["rollback"])?.expect(2)?;
    let words = ["config", "set", "-e", "staging", "--file", "-"];
    with_stdin(&system, &words, VALUES)?.expect(0)?;
    release(&system, "staging", 'a')?;
    system.ok(&["config", "set", "-e", "staging", "orders.PAGE_SIZE=9"])?;
    release(&system, "staging", 'b')?;

    let back = system.ok(&["rollback", "-e", "staging", "--note", "too slow"])?;
    ensure!(back.stdout == "3\n" && back.stderr.contains("rollback of 1"), "{}", back.said());
    let refused = system.run(&["promote", "staging", "production"])?.expect(2)?;
    let lacks =
        ["orders.TOKEN", "orders.HOOK", "db is a resource without an address in production"];
    ensure!(lacks.iter().all(|it| refused.stderr.contains(it)), "{}", refused.stderr);
    let words = ["config", "set", "-e", "production", "--file", "-"];
    with_stdin(&system, &words, VALUES)?.expect(0)?;
    let promoted = system.ok(&["promote", "staging", "production", "--json"])?.json()?;
    ensure!(promoted["number"] == 4 && promoted["origin"]["from"] == "staging", "{promoted}");
    let digest = format!("sha256:{}", "a".repeat(64));
    ensure!(promoted["builds"]["orders"]["digest"] == digest, "{promoted}");

    let list = system.ok(&["release", "ls", "--json"])?.json()?;
    let row = |it: &Value| (it["number"].as_u64(), it["deploy"].clone(), it["current"].clone());
    let rows: Vec<_> = list["releases"].as_array().context("rows")?.iter().map(row).collect();
    let expected = [(4, "production", true), (3, "staging", true), (2, "staging", false)];
    let expected = expected.map(|(n, deploy, current)| (Some(n), deploy.into(), current.into()));
    ensure!(rows[..3] == expected && rows.len() == 4, "{rows:?}");
    let table = system.ok(&["release", "ls", "-e", "staging"])?.stdout;
    ensure!(table.lines().count() == 4 && table.contains("too slow"), "{table}");

    let shown = system.ok(&["release", "show", "-e", "staging"])?.stdout;
    ensure!(shown.starts_with("release 3 of staging, the current one\n"), "{shown}");
    ensure!(shown.contains(&digest) && shown.contains("postgresql://…@db.example/shop"), "{shown}");
    let manifest = system.ok(&["release", "show", "3", "--manifest"])?.stdout;
    ensure!(manifest == MANIFEST, "{manifest}");
    let diff = system.ok(&["release", "diff", "1", "2"])?.stdout;
    ensure!(diff.contains("~ orders c0ffee") && diff.contains("+ orders.PAGE_SIZE 9"), "{diff}");
    let same = system.ok(&["release", "diff", "1", "3"])?;
    ensure!(same.stderr.contains("the same") && same.stdout.is_empty(), "{}", same.said());
    let none = system.run(&["release", "show", "9", "--json"])?.expect(2)?;
    ensure!(none.stderr.contains("the newest is 4"), "{}", none.stderr);
    Ok(())
}

#[test]
fn damage_is_a_finding_and_a_lost_key_is_not_made_anew() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    let words = ["config", "set", "-e", "staging", "--file", "-"];
    with_stdin(&system, &words, VALUES)?.expect(0)?;
    release(&system, "staging", 'a')?;
    release(&system, "staging", 'b')?;
    system.ok(&["release", "verify"])?;
    let records = store(&system)?.root().join("records");
    let first = files_below(&records)?.into_iter().find(|it| it.to_string_lossy().contains("/1-"));
    let first = first.context("the first record")?;
    let content = fs::read_to_string(&first)?;
    fs::write(&first, content.replacen("staging", "stagong", 1))?;
    let found = system.run(&["release", "verify"])?.expect(1)?;
    ensure!(found.stdout.starts_with("release 1: "), "{}", found.said());
    let listed = system.run(&["release", "ls"])?.expect(1)?;
    ensure!(listed.stdout.lines().count() == 2, "the other is told: {}", listed.said());
    system.run(&["rollback", "1", "-e", "staging"])?.expect(1)?;

    fs::rename(key(&system), system.root().join("kept"))?;
    let lost = system.run(&["config", "ls", "-e", "staging"])?.expect(4)?;
    ensure!(lost.stderr.contains("UPDRAFT_KEY_FILE"), "{}", lost.stderr);
    let mut command = system.command()?;
    command.args(["config", "ls", "-e", "staging"]);
    command.env("UPDRAFT_KEY_FILE", system.root().join("kept"));
    system.finish(command)?.expect(0)?;
    Ok(())
}
