//! What the programs of the zoo are made with: packages of PyPI and npm and a compiled Rust
//! program, made once below the target folder.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::turn::Turn;
use crate::{repository, target_folder};

/// Where they are.
#[derive(Clone, Debug)]
pub struct Supplies {
    /// The programs of a Python environment.
    pub python: PathBuf,
    /// `node_modules`.
    pub modules: PathBuf,
    /// `zoo/rust/service.rs`, compiled.
    pub service: PathBuf,
    /// A port on loopback at which somebody listens whom no program declares.
    pub peer: u16,
    _listening: Arc<TcpListener>,
}

impl Supplies {
    /// Makes what is not there or is older than what it is made of.
    pub fn make() -> Result<Self> {
        let _one_at_a_time = Turn::take("zoo-supplies")?;
        let (zoo, place) =
            (repository().join("integration-tests/zoo"), target_folder()?.join("zoo"));
        let (python, node) = (place.join("python"), place.join("node"));
        let requirements = zoo.join("python/requirements.txt");
        once(&python, &requirements, || {
            run(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
            let pip = python.join("bin/pip");
            run(Command::new(pip).args(["install", "--quiet", "--requirement"]).arg(&requirements))
        })?;
        let package = zoo.join("node/package.json");
        once(&node, &package, || {
            fs::copy(&package, node.join("package.json"))?;
            let words = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
            run(Command::new("npm").args(words).current_dir(&node))
        })?;
        let (source, rust) = (zoo.join("rust/service.rs"), place.join("rust"));
        let service = rust.join("service");
        once(&rust, &source, || {
            let words = ["--edition", "2024", "-C", "opt-level=1", "-C", "strip=symbols", "-o"];
            run(Command::new("rustc").args(words).arg(&service).arg(&source))
        })?;
        // The kernel completes connections that nobody accepts, up to the backlog; so somebody
        // has to accept them.
        let listening = Arc::new(TcpListener::bind(("127.0.0.1", 0))?);
        let (peer, accepting) = (listening.local_addr()?.port(), Arc::clone(&listening));
        thread::spawn(move || accepting.incoming().for_each(drop));
        let (python, modules) = (python.join("bin"), node.join("node_modules"));
        Ok(Self { python, modules, service, peer, _listening: listening })
    }
}

/// Makes a folder again when what it is made of has changed.
fn once(folder: &Path, from: &Path, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let (made, wanted) = (folder.join("made-from"), fs::read(from)?);
    if fs::read(&made).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    make().with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(fs::write(made, wanted)?)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    Ok(())
}
