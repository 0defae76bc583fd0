//! One run of `updraft check` over a program of the zoo.

use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::{Program, Supplies};
use crate::{TestSystem, repository};

/// What an audit said, as far as the zoo asks.
#[derive(Clone, Debug, Deserialize)]
pub struct Audited {
    /// The form of the report.
    pub schema: String,
    /// What the machine offered.
    pub machine: Value,
    /// What each probe said.
    pub probes: Vec<Finding>,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

/// What one probe said.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the documented report")]
pub struct Finding {
    pub id: String,
    pub program: String,
    pub shape: Option<String>,
    pub verdict: String,
    pub evidence: String,
    pub reproducer: Option<String>,
}

/// Lays a program out in a folder of its own and audits it.
pub fn audit(program: &Program, supplies: &Supplies) -> Result<Audited> {
    let system = TestSystem::empty()?;
    let folder = system.root().join("program");
    lay_out(program, supplies, &folder)?;
    let (home, tools) = (system.root().join("home"), system.root().join("tools"));
    own_tools(&home, &tools)?;
    let mut command = system.command_in(&folder)?;
    let path = env::var("PATH").unwrap_or_default();
    command.env("HOME", &home).env("PATH", format!("{}:{path}", tools.display()));
    let report = system.root().join("report.json");
    let only: Vec<_> = program.probes()?.into_iter().collect();
    command.args(["check", "--only", &only.join(","), "--format", "json", "-o"]).arg(&report);
    command.args(&program.options);
    match (&program.run, &program.manifest) {
        (Some(run), None) => {
            let run = run.replace("{python}", &supplies.python.to_string_lossy());
            let run = run.replace("{updraft}", &system.program().to_string_lossy());
            let run = run.replace("{peer}", &supplies.peer.to_string());
            command.arg("--").args(words(&run));
        }
        (None, Some(_)) => {}
        _ => bail!("{} needs one of `run` and `manifest`", program.name),
    }
    if program.outside {
        command = with_somebody_outside(&system, &command);
    }
    let began = Instant::now();
    let outcome = system.finish(command)?;
    let text = fs::read_to_string(&report).with_context(|| outcome.said())?;
    let mut audited: Audited = serde_json::from_str(&text).with_context(|| text.clone())?;
    ensure!(matches!(outcome.code, Some(0 | 1)), "{:?}: {}", outcome.code, outcome.said());
    audited.took = began.elapsed();
    system.expect_nothing(&[], Duration::from_secs(20))?;
    Ok(audited)
}

/// The same command in a network of its own that has somebody beside loopback: no test of this
/// repository reaches beyond its machine.
fn with_somebody_outside(system: &TestSystem, command: &Command) -> Command {
    let mut inside = system.bare("unshare");
    if !rustix::process::geteuid().is_root() {
        inside.arg("--map-root-user");
    }
    let script = repository().join("integration-tests/zoo/python/somebody_outside.py");
    inside.args(["--net", "python3"]).arg(script);
    inside.arg(command.get_program()).args(command.get_args());
    let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    inside.envs(variables);
    inside
}

fn lay_out(program: &Program, supplies: &Supplies, folder: &Path) -> Result<()> {
    let zoo = repository().join("integration-tests/zoo");
    fs::create_dir(folder)?;
    for file in &program.files {
        let name = file.rsplit('/').next().unwrap_or(file);
        let name = program.rename.get(name).map_or(name, String::as_str);
        fs::copy(zoo.join(file), folder.join(name)).with_context(|| file.clone())?;
    }
    fs::copy(&supplies.service, folder.join("service"))?;
    if program.modules {
        symlink(&supplies.modules, folder.join("node_modules"))?;
    }
    if let Some(manifest) = &program.manifest {
        let text = fs::read_to_string(zoo.join(manifest)).with_context(|| manifest.clone())?;
        let text = text.replace("{python}", &supplies.python.to_string_lossy());
        fs::write(folder.join("updraft.toml"), text)?;
    }
    if program.git {
        let me = ["-c", "user.name=zoo", "-c", "user.email=zoo@localhost"];
        for words in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "-m", "zoo"]]
        {
            let status = Command::new("git").args(me).args(words).current_dir(folder).status()?;
            ensure!(status.success(), "git {words:?}: {status}");
        }
    }
    Ok(())
}

/// What a person has at home and in their `PATH`, and no deploy has.
fn own_tools(home: &Path, tools: &Path) -> Result<()> {
    fs::create_dir(home)?;
    fs::write(home.join(".zoorc"), "colour = blue\n")?;
    fs::create_dir(tools)?;
    let greeting = tools.join("zoo-greeting");
    fs::write(&greeting, "#!/bin/sh\nexit 0\n")?;
    Ok(fs::set_permissions(&greeting, fs::Permissions::from_mode(0o755))?)
}

/// A command line: blanks divide it but within single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('\'').enumerate() {
        match place % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
