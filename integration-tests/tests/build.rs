//! `updraft build`: images that are their content, and that tools which are not ours read and run.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, eventually, said};
use serde_json::Value;

/// A service of files, and one that a command makes.
const MANIFEST: &str = r#"
system = "works"
[service.hello]
path = "hello"
run = "sh hello.sh"
[service.made]
path = "made"
build = { fetch = "cat /proc/net/dev > fetched.txt", run = "cat /proc/net/dev > net.txt; cp source.txt made.txt", keep = ["made.txt", "net.txt", "run.sh"] }
run = "sh run.sh"
"#;

fn works() -> Result<TestSystem> {
    let system = TestSystem::new(MANIFEST)?;
    system.write("hello/hello.sh", "echo \"hello of $(id -u)\"\n")?;
    system.write("hello/data/a.txt", "a")?;
    system.write("hello/.env", "TOKEN=canary\n")?;
    system.write("made/source.txt", "made")?;
    system.write("made/run.sh", "cat made.txt\n")?;
    system.write(".gitignore", "made.txt\nnet.txt\nfetched.txt\n")?;
    Ok(system)
}

/// The manifest with another command that makes the second service.
fn made_by(run: &str) -> String {
    let usual = "run = \"cat /proc/net/dev > net.txt; cp source.txt made.txt\"";
    MANIFEST.replace(usual, &format!("run = {run:?}"))
}

/// The root of the image of `hello`, which is built three times and is one.
fn root_of_hello(system: &TestSystem) -> Result<String> {
    let layout = system.root().join("layout");
    let first = digest(system, &["build", "hello", "--oci", &layout.display().to_string()])?;
    system.ok(&["build", "hello", "--verify"])?;
    assert_eq!(digest(system, &["build", "hello"])?, first);
    let image = format!("{}:hello", layout.display());
    said("umoci", &["unpack", "--image", &image, "bundle"], system.root())?;
    Ok(system.root().join("bundle/rootfs").to_str().context("no name")?.to_owned())
}

/// The last line of standard output.
fn digest(system: &TestSystem, words: &[&str]) -> Result<String> {
    let built = system.ok(words)?;
    let last = built.stdout.lines().last().context("no output")?.to_owned();
    ensure!(last.starts_with("sha256:") && last.len() == 71, "{last}");
    Ok(last)
}

#[test]
fn what_is_built_is_read_and_run_by_tools_that_are_not_ours() -> Result<()> {
    let system = works()?;
    let folder = system.root();
    let layout = folder.join("layout");
    let digest = digest(&system, &["build", "hello", "--oci", &layout.display().to_string()])?;
    let inspected =
        said("skopeo", &["inspect", &format!("oci:{}:hello", layout.display())], folder)?;
    let inspected: Value = serde_json::from_str(&inspected)?;
    ensure!(inspected["Digest"] == digest.as_str(), "{inspected}");

    said(
        "umoci",
        &["unpack", "--image", &format!("{}:hello", layout.display()), "bundle"],
        folder,
    )?;
    let config = folder.join("bundle/config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(&config)?)?;
    spec["process"]["terminal"] = Value::Bool(false);
    // This machine may not raise limits.
    spec["process"]["rlimits"] = Value::Array(Vec::new());
    fs::write(&config, spec.to_string())?;
    let root = folder.join("bundle/rootfs/app");
    ensure!(root.join("data/a.txt").is_file() && !root.join(".env").exists());
    let name = format!("updraft-{}", std::process::id());
    let words = ["--root", "containers", "run", "-b", "bundle", &name];
    // Of the image's own user, and of nothing but the image: there is no `id` in it.
    let output = Command::new("runc").args(words).current_dir(folder).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.starts_with("hello of"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(spec["process"]["user"]["uid"] == 65532, "{}", spec["process"]["user"]);
    Ok(())
}

#[test]
fn an_image_is_its_content_and_nothing_else() -> Result<()> {
    let (one, other) = (works()?, works()?);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for file in ["hello/hello.sh", "hello/data/a.txt", "made/run.sh"] {
        let path = other.directory().join(file);
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        File::options().write(true).open(&path)?.set_modified(long_ago)?;
    }
    let build = ["build", "hello"];
    let first = digest(&one, &build)?;
    let mut elsewhere = Command::new("/bin/sh");
    elsewhere
        .args(["-c", "umask 077; exec \"$0\" -C \"$1\" build hello"])
        .arg(other.program())
        .arg(other.directory())
        .env("XDG_STATE_HOME", other.state_home())
        .env("TZ", "Pacific/Kiritimati")
        .env("LANG", "tr_TR.UTF-8");
    let second = other.finish(elsewhere)?.expect(0)?;
    assert_eq!(second.stdout.trim(), first);

    let mut seen = BTreeSet::from([first]);
    let path = one.directory().join("hello/hello.sh");
    let changes: [&dyn Fn() -> Result<()>; 3] = [
        &|| one.write("hello/data/a.txt", "b"),
        &|| Ok(fs::set_permissions(&path, Permissions::from_mode(0o755))?),
        &|| one.write("hello/data/b.txt", ""),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        change()?;
        ensure!(seen.insert(digest(&one, &build)?), "change {number} counts for nothing");
    }
    Ok(())
}

#[test]
fn a_code_change_is_one_small_layer() -> Result<()> {
    let system = works()?;
    let layers = || -> Result<Vec<Value>> {
        let built = system.ok(&["build", "hello", "--json"])?.json()?;
        built[0]["layers"].as_array().cloned().context("no layers")
    };
    let before = layers()?;
    system.write("hello/hello.sh", "echo other\n")?;
    let after = layers()?;
    let changed: Vec<&Value> = after
        .iter()
        .filter(|layer| !before.iter().any(|old| old["digest"] == layer["digest"]))
        .collect();
    let [changed] = *changed else { anyhow::bail!("{before:?}\n{after:?}") };
    ensure!(changed["size"].as_u64().is_some_and(|size| size < 4096), "{changed}");
    Ok(())
}

#[test]
fn a_build_has_a_network_only_while_it_fetches() -> Result<()> {
    let system = works()?;
    system.ok(&["build", "made"])?;
    let interfaces = |name: &str| -> Result<Vec<String>> {
        let text = fs::read_to_string(system.directory().join("made").join(name))?;
        let names = text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
        Ok(names.collect())
    };
    assert_eq!(interfaces("net.txt")?, ["lo"]);
    assert_eq!(interfaces("fetched.txt")?, {
        let text = fs::read_to_string("/proc/net/dev")?;
        let names = text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
        names.collect::<Vec<_>>()
    });
    Ok(())
}

#[test]
fn verify_shows_the_first_byte_that_differs() -> Result<()> {
    let system = works()?;
    system.ok(&["build", "hello", "--verify"])?;
    let manifest = MANIFEST.replace("cp source.txt made.txt", "echo one; pwd > made.txt");
    system.write("updraft.toml", &manifest)?;
    let outcome = system.run(&["build", "made", "--verify"])?.expect(1)?;
    ensure!(outcome.stderr.contains("app/made.txt: differs from byte"), "{}", outcome.stderr);
    ensure!(outcome.stdout.is_empty(), "a digest of what is not certain: {}", outcome.stdout);
    Ok(())
}

#[test]
fn materials_and_provenance_are_attached_and_no_part_of_the_image() -> Result<()> {
    let system = works()?;
    let layout = system.root().join("layout");
    let digest = digest(&system, &["build", "hello", "--oci", &layout.display().to_string()])?;
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let blob = |digest: &Value| -> Result<Value> {
        let hex = digest.as_str().and_then(|it| it.strip_prefix("sha256:")).context("no digest")?;
        Ok(serde_json::from_slice(&fs::read(layout.join("blobs/sha256").join(hex))?)?)
    };
    let mut kinds = BTreeSet::new();
    for entry in index["manifests"].as_array().context("no manifests")? {
        let manifest = blob(&entry["digest"])?;
        let Some(kind) = manifest["artifactType"].as_str() else { continue };
        assert_eq!(manifest["subject"]["digest"], digest.as_str());
        let document = blob(&manifest["layers"][0]["digest"])?;
        let text = document.to_string();
        match kind {
            "application/vnd.cyclonedx+json" => {
                ensure!(text.contains("pkg:deb/") && text.contains("libc"), "{text}");
            }
            _ => ensure!(!document["signatures"][0]["sig"].is_null(), "{text}"),
        }
        kinds.insert(kind.to_owned());
    }
    let wanted = ["application/vnd.cyclonedx+json", "application/vnd.in-toto+json"];
    assert_eq!(kinds, wanted.map(str::to_owned).into());
    ensure!(!format!("{index}").contains("canary"));
    Ok(())
}

#[test]
fn programs_that_are_nowhere_are_told_together() -> Result<()> {
    let system = works()?;
    let manifest = MANIFEST
        .replace("sh hello.sh", "no-such-program --now")
        .replace("path = \"hello\"", "path = \"hello\"\ntask = { t = { run = \"nor-this\" } }");
    system.write("updraft.toml", &manifest)?;
    let outcome = system.run(&["build", "hello"])?.expect(1)?;
    for program in ["no-such-program", "nor-this"] {
        let wanted =
            format!("`{program}` is no file of the service and no program of this machine");
        ensure!(outcome.stderr.contains(&wanted), "{}", outcome.stderr);
    }
    ensure!(outcome.stdout.is_empty());
    Ok(())
}

#[test]
fn a_commit_is_built_whatever_the_folder_holds_now() -> Result<()> {
    let system = works()?;
    let folder = system.directory();
    let git = |words: &[&str]| {
        said("git", &[&["-c", "user.name=t", "-c", "user.email=t@t"], words].concat(), folder)
    };
    git(&["init", "-q"])?;
    git(&["add", "hello", "made", "updraft.toml", ".gitignore"])?;
    git(&["commit", "-q", "-m", "one"])?;
    fs::remove_file(folder.join("hello/.env"))?;
    let committed = digest(&system, &["build", "hello"])?;
    system.write("hello/hello.sh", "echo two\n")?;
    ensure!(digest(&system, &["build", "hello"])? != committed);
    assert_eq!(digest(&system, &["build", "hello", "--commit", "HEAD"])?, committed);
    let unknown = system.run(&["build", "hello", "--commit", "nowhere"])?.expect(2)?;
    ensure!(unknown.stderr.contains("nowhere"), "{}", unknown.stderr);
    Ok(())
}

#[test]
fn images_that_nothing_names_any_more_are_removed() -> Result<()> {
    let system = works()?;
    let manifest = MANIFEST.split("[service.made]").next().context("no service")?;
    system.write("updraft.toml", manifest)?;
    system.ok(&["release"])?;
    let released = digest(&system, &["build"])?;
    system.write("hello/hello.sh", "echo of no release\n")?;
    let passing = digest(&system, &["build"])?;
    system.write("hello/hello.sh", "echo the last\n")?;
    let last = digest(&system, &["build"])?;

    let states = fs::read_dir(system.state_home().join("updraft"))?;
    let folders = states.map(|entry| Ok(entry?.path().join("images/blobs/sha256")));
    let folders: Result<Vec<_>> = folders.collect();
    let blobs = folders?.into_iter().find(|folder| folder.is_dir()).context("no images")?;
    let there = |digest: &str| blobs.join(digest.trim_start_matches("sha256:")).is_file();
    ensure!(there(&passing), "what was just made may be of a release that is being made");
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    for blob in fs::read_dir(&blobs)? {
        File::options().write(true).open(blob?.path())?.set_modified(long_ago)?;
    }
    assert_eq!(digest(&system, &["build"])?, last);
    assert_eq!((there(&released), there(&passing), there(&last)), (true, false, true));
    // What is released is whole.
    system.write("hello/hello.sh", "sleep 100\n")?;
    let layout = blobs.parent().and_then(Path::parent).context("no layout")?;
    said("skopeo", &["inspect", &format!("oci:{}:hello", layout.display())], system.root())?;
    Ok(())
}

#[test]
fn values_of_a_deploy_are_in_no_image_wherever_they_lie() -> Result<()> {
    let system = works()?;
    let manifest = MANIFEST
        .replace("\"run.sh\"]", "\"run.sh\", \"kept\"]")
        .replace("path = \"hello\"", "path = \"hello\"\nimage = { include = [\"included\"] }");
    system.write("updraft.toml", &manifest)?;
    for folder in ["made/kept", "hello/included", "hello/data"] {
        system.write(&format!("{folder}/.env"), "TOKEN=canary\n")?;
        system.write(&format!("{folder}/sub/.env"), "TOKEN=canary\n")?;
        system.write(&format!("{folder}/there.txt"), "there")?;
    }
    let layout = system.root().join("layout");
    system.ok(&["build", "--oci", &layout.display().to_string()])?;
    for (service, there) in [("hello", "included/there.txt"), ("made", "kept/there.txt")] {
        let (image, bundle) = (format!("{}:{service}", layout.display()), format!("b-{service}"));
        said("umoci", &["unpack", "--image", &image, &bundle], system.root())?;
        let app = system.root().join(&bundle).join("rootfs/app");
        ensure!(app.join(there).is_file(), "{service}: {there} is missing");
        let found = said("find", &[".", "-name", ".env"], &app)?;
        ensure!(found.is_empty(), "{service}: {found}");
    }
    Ok(())
}

#[test]
fn the_preset_of_python_brings_the_interpreter_of_its_environment() -> Result<()> {
    let system = works()?;
    let manifest = "system = \"works\"\n[service.hello]\npath = \"hello\"\nbuild = \"python\"\n\
                    run = \"python app.py\"\n";
    system.write("updraft.toml", manifest)?;
    system.write("hello/app.py", "import json, sys; print(json.dumps(sys.prefix))\n")?;
    system.write("hello/requirements.txt", "")?;
    system.write("hello/.gitignore", ".venv/\n")?;
    let root = root_of_hello(&system)?;
    let words = [root.as_str(), "/app/.venv/bin/python", "/app/app.py"];
    assert_eq!(said("chroot", &words, system.root())?.trim(), "\"/app/.venv\"");
    Ok(())
}

/// Its package is a file beside it, so no registry is asked.
#[test]
fn the_preset_of_node_brings_node_and_the_packages_of_the_lock_file() -> Result<()> {
    let system = works()?;
    let manifest = "system = \"works\"\n[service.hello]\npath = \"hello\"\nbuild = \"node\"\n\
                    image.include = [\"made.json\"]\nrun = \"node app.js\"\n";
    system.write("updraft.toml", manifest)?;
    system.write("greeting/package.json", r#"{"name": "greeting", "version": "1.0.0"}"#)?;
    system.write("greeting/index.js", "module.exports = 'hello';\n")?;
    let package = r#"{
        "name": "hello", "version": "1.0.0",
        "scripts": { "build": "node -p 40+2 > made.json" },
        "dependencies": { "greeting": "file:greeting-1.0.0.tgz" }
    }"#;
    system.write("hello/package.json", package)?;
    system.write("hello/app.js", "console.log(require('greeting'), require('./made.json'));\n")?;
    system.write("hello/.gitignore", "node_modules/\nmade.json\n")?;
    let folder = system.directory().join("hello");
    said("npm", &["pack", "../greeting"], &folder)?;
    said("npm", &["install", "--package-lock-only", "--offline"], &folder)?;
    let root = root_of_hello(&system)?;
    let words = [root.as_str(), "node", "/app/app.js"];
    assert_eq!(said("chroot", &words, system.root())?, "hello 42\n");
    Ok(())
}

#[test]
fn a_build_that_writes_elsewhere_is_waited_for() -> Result<()> {
    let system = works()?;
    let run = "exec > log.txt 2>&1; for i in $(seq 1 200000); do :; done; cp source.txt made.txt; cp made.txt net.txt";
    let manifest = made_by(run);
    system.write("updraft.toml", &manifest.replace("sh run.sh", "python3 -m http.server"))?;
    digest(&system, &["build", "made"])?;
    fs::remove_file(system.directory().join("made/made.txt"))?;
    system.write("made/source.txt", "made again")?;
    let up = system.up()?;
    eventually("it is built and runs", Duration::from_secs(60), || {
        Ok(system.ps()?.iter().any(|row| row.service == "made" && row.pid.is_some()))
    })?;
    assert_eq!(fs::read_to_string(system.directory().join("made/made.txt"))?, "made again");
    drop(up);
    Ok(())
}

#[test]
fn the_end_of_a_failed_build_is_shown_whatever_it_writes() -> Result<()> {
    let system = works()?;
    let run = "printf '\\377\\n'; seq 1 3000; echo LAST >&2; exit 1";
    let manifest = made_by(run);
    system.write("updraft.toml", &manifest)?;
    let failed = system.run(&["build", "made"])?.expect(1)?;
    for wanted in ["3000", "LAST"] {
        ensure!(failed.stderr.lines().any(|line| line == wanted), "{}", failed.stderr);
    }
    Ok(())
}
