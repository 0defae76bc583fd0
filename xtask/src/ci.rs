//! The one gate. It stops at the first step that fails, so that the last lines
//! on the screen are the reason.

use std::env;
use std::num::NonZero;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::{output, repository, setup, tidy};

/// Runs every step in the order in which a mistake is cheapest to find.
pub(crate) fn run() -> Result<()> {
    let began = Instant::now();
    own_step("setup", "what the tests need is installed", setup::run)?;
    cargo_step("format", &["fmt", "--all", "--check"], &[])?;
    own_step("tidy", "sizes, names, links, floors, licences", tidy::run)?;
    cargo_step(
        "lints",
        &[
            &["clippy", "--workspace", "--all-targets", "--locked"],
            CHASSIS_WHOLE,
            &["--", "-D", "warnings"],
        ]
        .concat(),
        &[],
    )?;
    features()?;
    // Its tests run once, with every feature: what fewer features leave out is fewer tests.
    let others = [&["--workspace", "--exclude", PUBLISHED], CHASSIS_WHOLE].concat();
    let published = ["--package", PUBLISHED, "--all-features"];
    tests("tests", &others)?;
    doc_tests("doc tests", &others)?;
    tests("tests with every feature", &published)?;
    doc_tests("doc tests with every feature", &published)?;
    // `--lib`: the command and the published crate are both called `updraft`, and
    // their pages would overwrite each other.
    cargo_step(
        "documentation",
        &[&["doc", "--workspace", "--locked", "--no-deps", "--lib"], CHASSIS_WHOLE].concat(),
        &[("RUSTDOCFLAGS", "-D warnings")],
    )?;
    if cargo_has("deny") {
        cargo_step(
            "licences and sources",
            &["deny", "--offline", "check", "bans", "licenses", "sources"],
            &[],
        )?;
    } else {
        output::line(
            "  cargo-deny is not installed: the tidy step has checked licences, bans and sources",
        );
    }
    output::passed("all of it", began.elapsed());
    Ok(())
}

/// The crate of policies, whose features others choose.
const PUBLISHED: &str = "updraft-resilience";

/// The chassis with all that it can do. Every step says it alike, so that what they share is
/// compiled once.
const CHASSIS_WHOLE: &[&str] = &["--features", "updraft/full,updraft/testing"];

/// Features only add: the crate stands with none of them and with all.
fn features() -> Result<()> {
    for (name, choice) in
        [("lints without features", "--no-default-features"), ("lints with all", "--all-features")]
    {
        let mut words = vec!["clippy", "--package", PUBLISHED, "--locked", choice];
        // Its tests use the default features.
        words.extend(if choice == "--all-features" { ["--all-targets"] } else { ["--lib"] });
        words.extend(["--", "-D", "warnings"]);
        cargo_step(name, &words, &[])?;
    }
    let bare = ["clippy", "--package", "updraft", "--locked", "--lib", "--", "-D", "warnings"];
    cargo_step("lints of the bare chassis", &bare, &[])?;
    // The tests run it with the features of everything else too, and nobody else does.
    let command = ["clippy", "--package", "updraft-cli", "--locked", "--", "-D", "warnings"];
    cargo_step("lints of the command alone", &command, &[])
}

fn tests(name: &'static str, choice: &[&str]) -> Result<()> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let at_once = (TESTS_PER_CORE * cores).to_string();
    let runner: &[&str] = match cargo_has("nextest") {
        true => &["nextest", "run", "--locked", "--test-threads", &at_once],
        false => &["test", "--locked", "--lib", "--bins", "--tests"],
    };
    cargo_step(name, &[runner, choice].concat(), TESTED)
}

fn doc_tests(name: &'static str, choice: &[&str]) -> Result<()> {
    cargo_step(name, &[&["test", "--locked", "--doc"], choice].concat(), &[])
}

/// Most tests wait for servers and processes for longer than they compute.
const TESTS_PER_CORE: usize = 2;

/// Tests build the services of the shop: what they look at does not depend on how well these are
/// optimized. The programs of this workspace are built with the tests.
const TESTED: &[(&str, &str)] = &[
    ("UPDRAFT_TEST_PROGRAMS", "built"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
];

/// Takes the measurements, which are no part of the gate: they want a quiet machine.
pub(crate) fn bench(page: Option<&str>) -> Result<()> {
    setup::run()?;
    let bench = ["bench", "--locked", "--package", "integration-tests", "--bench", "benchmarks"];
    let page: Vec<&str> = page.map(|page| vec!["--", page]).unwrap_or_default();
    cargo_step("benchmarks", &[&bench[..], &page].concat(), &[])
}

fn own_step(name: &'static str, what: &str, body: fn() -> Result<()>) -> Result<()> {
    output::step(name, what);
    let began = Instant::now();
    body().with_context(|| format!("the step `{name}` failed"))?;
    output::passed(name, began.elapsed());
    Ok(())
}

fn cargo_step(name: &'static str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let prefix: String = variables.iter().map(|(key, value)| format!("{key}='{value}' ")).collect();
    let shown = format!("{prefix}cargo {}", arguments.join(" "));
    output::step(name, &shown);
    let began = Instant::now();
    let status = cargo()
        .args(arguments)
        .envs(variables.iter().copied())
        .status()
        .with_context(|| format!("the step `{name}` could not start cargo"))?;
    ensure!(status.success(), "the step `{name}` failed ({status}); run it again with: {shown}");
    output::passed(name, began.elapsed());
    Ok(())
}

/// Whether `cargo NAME` exists on this machine.
fn cargo_has(name: &str) -> bool {
    cargo()
        .args([name, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Names the first missing part of the toolchain, with the command that adds it.
pub(crate) fn require_components() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !cargo_has(subcommand) {
            bail!(setup::Lacking(format!(
                "the toolchain has no {component}; run: rustup component add {component}"
            )));
        }
    }
    Ok(())
}

/// The cargo that runs this chore, at the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository::root());
    // Build scripts, such as that of ring, would take what is told of this chore for a change,
    // and what stands on them would be compiled once more.
    let names = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    for name in
        names.filter(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.starts_with(of)))
    {
        command.env_remove(name);
    }
    if env::var_os("CI").is_some() {
        command.envs(BUILT_ONCE);
    }
    command
}

/// What a machine that builds once and throws it away does without: parts of crates that could
/// be used again, and lines for debuggers.
const BUILT_ONCE: [(&str, &str); 2] =
    [("CARGO_INCREMENTAL", "0"), ("CARGO_PROFILE_DEV_DEBUG", "none")];
