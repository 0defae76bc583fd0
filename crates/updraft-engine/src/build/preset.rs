//! What the presets of Node and Python run, told by the files of the service.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::Recipe;

/// `npm ci` installs exactly what the lock file says, and nothing else.
pub(super) fn node(folder: &Path) -> Result<Recipe, String> {
    let text = fs::read_to_string(folder.join("package.json"))
        .map_err(|_unreadable| "it has no package.json that can be read".to_owned())?;
    let package: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| format!("its package.json is no JSON: {error}"))?;
    if !folder.join("package-lock.json").is_file() {
        let what = "it has no package-lock.json: run `npm install --package-lock-only` once, and \
                    put the file into Git";
        return Err(what.to_owned());
    }
    let has = |key: &str| package[key].as_object().is_some_and(|table| !table.is_empty());
    let has_packages = has("dependencies") || has("devDependencies");
    let builds = package["scripts"]["build"].is_string();
    Ok(Recipe {
        fetch: has_packages.then(|| "npm ci --no-audit --no-fund".to_owned()),
        run: if builds { "npm run build".to_owned() } else { ":".to_owned() },
        keep: if has_packages { vec![PathBuf::from("node_modules")] } else { Vec::new() },
        programs: Some(PathBuf::from("node_modules/.bin")),
    })
}

/// The virtual environment holds what the lock file says; the service itself is its files.
pub(super) fn python(folder: &Path) -> Result<Recipe, String> {
    let requirements = fs::read_to_string(folder.join("requirements.txt"));
    let fetch = match requirements {
        _ if folder.join("uv.lock").is_file() => {
            "uv sync --frozen --no-dev --no-install-project --no-editable".to_owned()
        }
        Ok(requirements) => {
            let hashes = if requirements.contains("--hash") { " --require-hashes" } else { "" };
            format!(
                "python3 -m venv --clear .venv && .venv/bin/python -m pip install --no-compile \
                 --no-input --disable-pip-version-check{hashes} -r requirements.txt"
            )
        }
        Err(_neither) => {
            let what = "it has neither uv.lock nor requirements.txt: run `uv lock`, or write what \
                        it needs with `pip freeze > requirements.txt`";
            return Err(what.to_owned());
        }
    };
    Ok(Recipe {
        fetch: Some(fetch),
        run: ":".to_owned(),
        keep: vec![PathBuf::from(".venv")],
        programs: Some(PathBuf::from(".venv/bin")),
    })
}
