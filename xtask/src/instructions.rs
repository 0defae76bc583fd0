//! Counts the instructions of the hot paths of `updraft-resilience`. A count says nearly the
//! same on every machine, where a time does not, so a change that makes a path longer shows in
//! the log of the gate. It is a report and no verdict: another compiler counts otherwise.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{ci, output};

const EXAMPLE: &str = "hot_path";

/// Calls of the two runs whose difference is taken, so that what a program costs before its
/// first call does not count.
const FEW: u64 = 1_000;
const MANY: u64 = 3_000;

/// Prints a table of instructions per call.
pub(crate) fn run() -> Result<()> {
    let program = build()?;
    let names = said(Command::new(&program))?;
    output::line("  instructions per call, user space, release build");
    for name in names.lines() {
        let (few, many) = (count(&program, name, FEW)?, count(&program, name, MANY)?);
        let each = many.saturating_sub(few) / (MANY - FEW);
        output::line(&format!("  {name:<24} {each:>6}"));
    }
    Ok(())
}

fn build() -> Result<PathBuf> {
    let arguments =
        ["build", "--release", "--locked", "--package", "updraft-resilience", "--example", EXAMPLE];
    let status = ci::cargo().args(arguments).args(["--quiet"]).status()?;
    ensure!(status.success(), "the example {EXAMPLE} cannot be built ({status})");
    // This chore is in `target/PROFILE/`, wherever the target folder is.
    let this = std::env::current_exe().context("this chore does not know where it is")?;
    let target = this.parent().and_then(Path::parent).context("no target folder")?;
    Ok(target.join("release/examples").join(EXAMPLE))
}

fn count(program: &Path, name: &str, calls: u64) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(program).args([name, &calls.to_string()]);
    let told = said(command)?;
    let collected = told.lines().find_map(|line| line.split_once("Collected :"));
    let (_, number) = collected.with_context(|| format!("valgrind counted nothing:\n{told}"))?;
    number.trim().parse().with_context(|| format!("valgrind counted {number:?}"))
}

/// All that a program writes.
fn said(mut command: Command) -> Result<String> {
    let name = command.get_program().to_owned();
    let done = command.stdin(Stdio::null()).output();
    let done = done.with_context(|| format!("{} cannot be started", name.display()))?;
    let text = [done.stdout, done.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    ensure!(done.status.success(), "{} failed ({}):\n{text}", name.display(), done.status);
    Ok(text)
}
