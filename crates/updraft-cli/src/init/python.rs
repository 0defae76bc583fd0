//! Python projects, and what can be started in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::program::{self, BuildSketch, Program};

/// The file that tells of a project.
pub(super) const FILE: &str = "pyproject.toml";

/// The folder of a virtual environment.
pub(super) const VENV: &str = ".venv";

#[derive(Deserialize)]
struct PyProject {
    project: Option<Project>,
    tool: Option<Tools>,
}

#[derive(Deserialize)]
struct Project {
    name: Option<String>,
    #[serde(default)]
    scripts: BTreeMap<String, String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Tools {
    poetry: Option<Poetry>,
}

#[derive(Deserialize)]
struct Poetry {
    name: Option<String>,
    #[serde(default)]
    scripts: BTreeMap<String, toml::Value>,
}

/// The project in `folder`.
pub(super) fn find(folder: &Path) -> anyhow::Result<Option<Program>> {
    let path = folder.join(FILE);
    let Some(text) = program::read(&path)? else {
        return Ok(None);
    };
    let file: PyProject =
        toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?;
    let poetry = file.tool.and_then(|tools| tools.poetry);
    let project = file.project;
    let name = project
        .as_ref()
        .and_then(|project| project.name.clone())
        .or_else(|| poetry.as_ref().and_then(|poetry| poetry.name.clone()));
    let scripts = project.iter().flat_map(|project| project.scripts.keys());
    let scripts = scripts.chain(poetry.iter().flat_map(|poetry| poetry.scripts.keys()));
    let scripts: Vec<&str> = scripts.map(String::as_str).collect();
    let needs_packages = poetry.is_some()
        || project.as_ref().is_some_and(|project| !project.dependencies.is_empty());
    let build = build(folder, needs_packages || !scripts.is_empty());
    let python = if build.is_some() { ".venv/bin/python" } else { "python3" };
    let run = command(folder, name.as_deref(), &scripts, python);
    Ok(Some(Program {
        name,
        build,
        processes: run.into_iter().map(|run| (program::WEB.to_owned(), run)).collect(),
        files: vec![FILE.to_owned()],
        ..Program::default()
    }))
}

fn build(folder: &Path, needed: bool) -> Option<BuildSketch> {
    let run = if folder.join("uv.lock").is_file() {
        "uv sync --frozen"
    } else if needed {
        "python3 -m venv .venv && .venv/bin/pip install --quiet ."
    } else {
        return None;
    };
    Some(BuildSketch::Command { run: run.to_owned(), keep: vec![VENV.to_owned()] })
}

/// The command that starts the project: its own script, its package, its only file.
fn command(folder: &Path, name: Option<&str>, scripts: &[&str], python: &str) -> Option<String> {
    let own = scripts.iter().find(|script| Some(**script) == name).or_else(|| scripts.first());
    if let Some(script) = own {
        return Some(shell_words::join([format!(".venv/bin/{script}")]));
    }
    if folder.join("manage.py").is_file() {
        return Some(format!("{python} manage.py runserver --noreload $PORT"));
    }
    // What lies in `src` is found only once it is installed.
    let installed = python != "python3";
    let roots = [(folder.to_owned(), ""), (folder.join("src"), "PYTHONPATH=src ")];
    for (root, path) in roots {
        let mut packages: Vec<_> = fs::read_dir(root)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join("__main__.py").is_file())
            .collect();
        packages.sort();
        if let Some(package) = packages.first().and_then(|path| path.file_name()?.to_str()) {
            let path = if installed { "" } else { path };
            return Some(format!("{path}{python} -m {}", shell_words::quote(package)));
        }
    }
    let file = ["main.py", "app.py", "server.py"].iter().find(|file| folder.join(file).is_file());
    file.map(|file| format!("{python} {file}"))
}
