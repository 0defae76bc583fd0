//! What runs a Procfile: a bare shell as the floor, Updraft, and two tools that people
//! use for it, installed below `target/`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, target_folder};

/// The versions that are compared.
const HONCHO: &str = "2.0.0";
const FOREMAN: &str = "3.0.1";

/// One of them.
pub(crate) struct Runner {
    pub(crate) name: &'static str,
    version: String,
    words: Vec<String>,
}

impl Runner {
    /// Its name and version.
    pub(crate) fn described(&self) -> String {
        format!("{} {}", self.name, self.version).trim().to_owned()
    }

    /// The command that runs the Procfile of `system` in the foreground.
    pub(crate) fn command(&self, system: &TestSystem) -> Command {
        let (program, words) = self.words.split_first().map_or(("false", &[][..]), |(p, w)| (p, w));
        let mut command = system.bare(program);
        command.args(words).current_dir(system.directory());
        // As in a terminal, where Ctrl-C reaches the whole group in the foreground.
        command.process_group(0);
        // An ordinary terminal size and no colour, so that each does the same work.
        command.env("NO_COLOR", "1").stderr(Stdio::null());
        command
    }
}

/// All of them, the floor first.
pub(crate) fn all() -> Result<Vec<Runner>> {
    let folder = target_folder()?.join("bench");
    fs::create_dir_all(&folder)?;
    let updraft = TestSystem::empty()?.optimised()?.program().to_path_buf();
    let (honcho, foreman) = (honcho(&folder)?, foreman(&folder)?);
    Ok(vec![
        // Each line of the Procfile in the background, and a wait for all of them.
        runner("sh", "", &["sh", "procfile.sh"]),
        runner("updraft", env!("CARGO_PKG_VERSION"), &[&shown(&updraft), "up"]),
        runner("honcho", HONCHO, &[&shown(&honcho), "start"]),
        runner("foreman (node)", FOREMAN, &[&shown(&foreman), "start"]),
    ])
}

/// The floor's script: the same programs without a supervisor, ended by the same signal.
pub(crate) fn floor(commands: &[String]) -> String {
    let background = commands.iter().map(|command| format!("{command} &\npids=\"$pids $!\"\n"));
    let background: String = background.collect();
    format!("trap 'kill -TERM $pids; wait; exit 0' INT TERM\n{background}wait\n")
}

fn runner(name: &'static str, version: &str, words: &[&str]) -> Runner {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Runner { name, version: version.to_owned(), words }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn honcho(folder: &Path) -> Result<PathBuf> {
    let place = folder.join("honcho");
    let program = place.join("bin/honcho");
    if !program.exists() {
        run("python3", &["-m", "venv", &shown(&place)])?;
        let pip = shown(&place.join("bin/pip"));
        run(&pip, &["install", "--quiet", &format!("honcho=={HONCHO}")])?;
    }
    Ok(program)
}

fn foreman(folder: &Path) -> Result<PathBuf> {
    let place = folder.join("foreman");
    let program = place.join("node_modules/.bin/nf");
    if !program.exists() {
        let package = format!("foreman@{FOREMAN}");
        run("npm", &["install", "--silent", "--prefix", &shown(&place), &package])?;
    }
    Ok(program)
}

fn run(program: &str, words: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(words)
        .status()
        .with_context(|| format!("{program} cannot be started; the comparison needs it"))?;
    ensure!(status.success(), "{program} {} ended with {status}", words.join(" "));
    Ok(())
}
