//! What a peer costs before it runs: size of its program, crates, time to build it.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use updraft_measure::report::{Table, cell};

use crate::peer::PEERS;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
const MIB: f64 = 1024.0 * 1024.0;

/// One row for each program.
pub fn measure(build: bool) -> Result<Table> {
    let own = std::env::current_exe()?;
    let programs = own.parent().context("a program is in a folder")?;
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    for peer in PEERS.iter().filter(|peer| seen.insert(peer.package)) {
        let size = std::fs::metadata(programs.join(peer.package))?.len();
        let seconds = if build { built(peer.package)? } else { f64::NAN };
        let cells =
            vec![cell(size as f64 / MIB, 1), crates(peer.package)?.to_string(), cell(seconds, 0)];
        rows.push((peer.title.to_owned(), cells));
    }
    Ok(Table {
        title: "Program, crates, and a release build from nothing".to_owned(),
        head: &["", "MiB", "crates", "s to build"],
        rows,
    })
}

/// Crates that are compiled for a program, its build included.
fn crates(package: &str) -> Result<usize> {
    let output = Command::new("cargo")
        .args(["tree", "--manifest-path", MANIFEST, "--package", package, "--prefix", "none"])
        .args(["--edges", "normal,build", "--format", "{p}"])
        .output()?;
    ensure!(output.status.success(), "cargo tree failed for {package}");
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().map(|line| line.split(" (").next().unwrap_or(line));
    Ok(names.collect::<BTreeSet<_>>().len())
}

fn built(package: &str) -> Result<f64> {
    let target = tempfile::tempdir()?;
    let begin = Instant::now();
    let status = Command::new("cargo")
        .args(["build", "--release", "--manifest-path", MANIFEST, "--package", package])
        // What everybody has who sets nothing, not what is measured here.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TARGET_DIR", target.path())
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "{package} cannot be built");
    Ok(begin.elapsed().as_secs_f64())
}
