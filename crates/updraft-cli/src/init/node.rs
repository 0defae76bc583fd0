//! Node packages, and their start scripts.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::program::{self, BuildSketch, Program};

/// The file that tells of a package.
pub(super) const FILE: &str = "package.json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    name: Option<String>,
    #[serde(default)]
    scripts: BTreeMap<String, String>,
    #[serde(default)]
    dependencies: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, serde_json::Value>,
}

/// The package in `folder`.
pub(super) fn find(folder: &Path) -> anyhow::Result<Option<Program>> {
    let path = folder.join(FILE);
    let Some(text) = program::read(&path)? else {
        return Ok(None);
    };
    let package: Package = serde_json::from_str(&text)
        .with_context(|| format!("cannot understand {}", path.display()))?;
    let tool = Tool::of(folder);
    // A script runner between Updraft and the program would take the signals.
    let run = package.scripts.get("start").map(|start| {
        if start.starts_with("node ") { start.clone() } else { format!("{} start", tool.name) }
    });
    // `@scope/name` is called `name`.
    let name = package.name.as_deref().and_then(|name| name.rsplit('/').next());
    Ok(Some(Program {
        name: name.map(str::to_owned),
        build: build(&package, &tool),
        processes: run.into_iter().map(|run| (program::WEB.to_owned(), run)).collect(),
        files: vec![FILE.to_owned()],
        ..Program::default()
    }))
}

fn build(package: &Package, tool: &Tool) -> Option<BuildSketch> {
    let mut steps = Vec::new();
    let mut keep = Vec::new();
    if !(package.dependencies.is_empty() && package.dev_dependencies.is_empty()) {
        steps.push(tool.install.to_owned());
        keep.push("node_modules".to_owned());
    }
    if package.scripts.contains_key("build") {
        steps.push(format!("{} run build", tool.name));
    }
    let run = steps.join(" && ");
    (!steps.is_empty()).then_some(BuildSketch::Command { run, keep })
}

/// The program that installs a package's dependencies.
struct Tool {
    name: &'static str,
    install: &'static str,
}

impl Tool {
    /// The lock file tells which one the package is made with.
    fn of(folder: &Path) -> Self {
        let tools = [
            ("package-lock.json", Self { name: "npm", install: "npm ci" }),
            ("pnpm-lock.yaml", Self { name: "pnpm", install: "pnpm install --frozen-lockfile" }),
            ("yarn.lock", Self { name: "yarn", install: "yarn install --frozen-lockfile" }),
            ("bun.lock", Self { name: "bun", install: "bun install --frozen-lockfile" }),
        ];
        let found = tools.into_iter().find(|(lock, _)| folder.join(lock).is_file());
        found.map_or(Self { name: "npm", install: "npm install" }, |(_, tool)| tool)
    }
}
