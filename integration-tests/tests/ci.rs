//! `updraft ci` in a real repository: where the file goes, and what happens to one that is
//! not ours.

use std::fs;

use anyhow::{Result, ensure};
use integration_tests::{TestSystem, repository};

const MANIFEST: &str = "system = 'ci'\n[service.api]\nrun = 'python3 web.py'\n";

#[test]
fn the_file_lies_where_the_forge_looks_and_stays_current() -> Result<()> {
    let system = TestSystem::empty()?;
    let root = system.directory();
    let mut git = system.bare("git");
    git.args(["init", "--quiet"]).arg(root);
    system.finish(git)?.expect(0)?;
    system.write("apps/api/updraft.toml", MANIFEST)?;
    let run = |words: &[&str]| {
        let mut command = system.command_in(&root.join("apps/api"))?;
        command.arg("ci").args(words).current_dir(root);
        system.finish(command)
    };
    for (forge, file) in [
        ("github", ".github/workflows/updraft.yml"),
        ("gitlab", ".gitlab-ci.yml"),
        ("forgejo", ".forgejo/workflows/updraft.yml"),
    ] {
        let path = root.join(file);
        let absent = run(&[forge, "--check"])?.expect(1)?;
        ensure!(absent.said().contains("is not there") && !path.exists(), "{}", absent.said());
        run(&[forge])?.expect(0)?;
        let text = fs::read_to_string(&path)?;
        ensure!(text.contains("updraft -C apps/api check"), "{text}");
        let again = run(&[forge, "--json"])?.expect(0)?.json()?;
        ensure!(again["changed"] == false, "{again}");
        ensure!(run(&[forge, "-o", "-"])?.expect(0)?.stdout == text);

        // Its own first job finds it current, from the root of the repository.
        let call = text.lines().find_map(|line| {
            let (_, call) = line.split_once("updraft -C apps/api ci ")?;
            call.contains("--check").then(|| call.trim_end_matches('"').to_owned())
        });
        let call = call.unwrap_or_default();
        run(&call.split(' ').collect::<Vec<_>>())?.expect(0)?;

        // Another service is another file; what differs is shown, and nothing is changed.
        let more = format!("{MANIFEST}[service.mail]\nrun = 'python3 web.py'\n");
        system.write("apps/api/updraft.toml", &more)?;
        let stale = run(&[forge, "--check"])?.expect(1)?;
        ensure!(stale.stdout.contains("\n+") && stale.stdout.contains("mail"), "{}", stale.stdout);
        ensure!(stale.said().contains("not what would be written now"), "{}", stale.said());
        ensure!(fs::read_to_string(&path)? == text);
        let state = run(&[forge, "--check", "--json"])?.expect(1)?.json()?;
        ensure!(state["state"] == "stale", "{state}");
        run(&[forge])?.expect(0)?;
        run(&[forge, "--check"])?.expect(0)?;
        system.write("apps/api/updraft.toml", MANIFEST)?;

        for other in [format!("{text}# mine\n"), "mine: true\n".to_owned()] {
            fs::write(&path, &other)?;
            let refused = run(&[forge])?.expect(2)?;
            ensure!(refused.said().contains("-o"), "{}", refused.said());
            run(&[forge, "--check"])?.expect(1)?;
            ensure!(fs::read_to_string(&path)? == other, "{forge} has overwritten it");
        }
    }
    Ok(())
}

#[test]
fn another_file_knows_its_own_name() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    let root = system.directory();
    let run = |words: &[&str]| {
        let mut command = system.command()?;
        command.arg("ci").args(words).current_dir(root);
        system.finish(command)
    };
    run(&["gitlab", "-o", "ci/updraft.yml", "--branch", "trunk"])?.expect(0)?;
    let text = fs::read_to_string(root.join("ci/updraft.yml"))?;
    let call = "updraft ci gitlab --check --branch=trunk --output=ci/updraft.yml";
    ensure!(text.contains(call), "{text}");
    run(&["gitlab", "--check", "--branch=trunk", "--output=ci/updraft.yml"])?.expect(0)?;
    run(&["gitlab", "--check", "--output=ci/updraft.yml"])?.expect(1)?;
    // A job would look for it in the repository, where it is not.
    let outside = run(&["gitlab", "-o", "../elsewhere.yml"])?.expect(2)?;
    ensure!(outside.said().contains("outside"), "{}", outside.said());
    ensure!(!system.root().join("elsewhere.yml").exists());
    run(&["github", "--check", "-o", "-"])?.expect(2)?;
    Ok(())
}

/// The workflow of this repository checks and builds the shop by the verbs that others have.
#[test]
fn the_workflow_of_the_shop_is_what_would_be_written_now() -> Result<()> {
    let file = repository().join(".github/workflows/updraft.yml");
    let text = fs::read_to_string(&file)?;
    let head = text.lines().next().unwrap_or_default();
    let call = head.split('`').nth(1).unwrap_or_default();
    let system = TestSystem::empty()?;
    let mut shell = system.bare("sh");
    let script = format!("updraft() {{ \"$UPDRAFT\" \"$@\"; }}; {call} --check");
    shell.args(["-c", &script]).env("UPDRAFT", system.program()).current_dir(repository());
    let checked = system.finish(shell)?.expect(0)?;
    ensure!(checked.said().contains("is current"), "{}", checked.said());
    for verb in ["check", "build"] {
        ensure!(text.contains(&format!("updraft -C examples/shop {verb} ")), "{verb}");
    }
    Ok(())
}
