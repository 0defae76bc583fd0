//! Where the command under test is, built from the sources beside these tests.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

use crate::turn::Turn;

/// The root of the repository.
pub fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The folder of cargo's profile, such as `target/debug`: tests are in its `deps`.
fn profile_folder() -> Result<PathBuf> {
    let test = env::current_exe().context("a test does not know where it is")?;
    let profile = test.parent().and_then(Path::parent);
    Ok(profile.with_context(|| format!("{} is not in a target folder", test.display()))?.into())
}

/// Cargo's `target`.
pub fn target_folder() -> Result<PathBuf> {
    let profile = profile_folder()?;
    Ok(profile.parent().context("the profile has no folder above it")?.into())
}

/// Whether the programs in the profile of these tests are built already, with the tests and of
/// the same choice of packages. Without the others a program has other features, and is
/// compiled anew from its dependencies on.
fn are_built() -> bool {
    env::var_os("UPDRAFT_TEST_PROGRAMS").is_some_and(|said| said == "built")
}

/// The command `updraft` in the profile of these tests, as fresh as its sources: cargo is
/// asked once per process, unless it has been.
pub(crate) fn updraft() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let release = profile_folder()?.ends_with("release");
    built(&BUILT, release)
}

/// The command `updraft` as users have it, for tests that measure.
pub(crate) fn optimised_updraft() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    built(&BUILT, true)
}

fn built(cell: &'static OnceLock<Result<PathBuf, String>>, release: bool) -> Result<&'static Path> {
    match cell.get_or_init(|| build(release).map_err(|error| format!("{error:#}"))) {
        Ok(path) => Ok(path),
        Err(reason) => Err(anyhow!("{reason}")),
    }
}

/// Builds the program of a package of the examples beside the command `updraft`, in the
/// profile of these tests.
pub fn build_example(package: &str) -> Result<()> {
    if are_built() {
        return Ok(());
    }
    let _one_build_at_a_time = Turn::take("build")?;
    let mut command = cargo_build(&target_folder()?, package);
    if profile_folder()?.ends_with("release") {
        command.arg("--release");
    }
    finished(command, package)
}

fn cargo_build(target: &Path, package: &str) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", package]);
    as_from_a_shell(&mut command, target);
    command
}

/// Has a command build as from a shell: build scripts, such as that of ring, would take what is
/// told of a test for a change, and what stands on them would be compiled once more.
pub fn as_from_a_shell(command: &mut Command, target: &Path) {
    let names = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    for name in
        names.filter(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.starts_with(of)))
    {
        command.env_remove(name);
    }
    command.current_dir(repository()).env("CARGO_TARGET_DIR", target);
}

fn finished(mut command: Command, package: &str) -> Result<()> {
    let output = command.output().context("cargo could not be started")?;
    if !output.status.success() {
        bail!("{package} cannot be built:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn build(release: bool) -> Result<PathBuf> {
    let target = target_folder()?;
    let profile = if release { target.join("release") } else { profile_folder()? };
    let program = profile.join("updraft");
    if are_built() && profile == profile_folder()? {
        return Ok(program);
    }
    let _one_build_at_a_time = Turn::take("build")?;
    let mut command = cargo_build(&target, "updraft-cli");
    command.args(["--bin", "updraft"]);
    if release {
        command.arg("--release");
    }
    finished(command, "updraft")?;
    Ok(program)
}
