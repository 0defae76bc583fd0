//! Which files of a folder are likely to differ from deploy to deploy: by their names, and
//! because version control does not know them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How deep files are looked for: `config/deploy/production.yml`.
const DEPTH_MAX: usize = 2;
/// The most files that are watched.
const FILES_MAX: usize = 64;

const EXTENSIONS: &[&str] = &["yaml", "yml", "toml", "ini", "json", "conf", "properties"];
/// Parts of names that say for which deploy a file is.
const DEPLOYS: &[&str] =
    &["production", "prod", "staging", "development", "local", "secret", "secrets", "credentials"];
/// Parts of names that say that it is configuration.
const CONFIGURATION: &[&str] =
    &["config", "configuration", "settings", "conf", "database", "application", "appsettings"];
/// Parts of names that say that nobody reads it.
const SAMPLES: &[&str] = &["example", "sample", "template", "dist", "schema", "test", "lock"];
/// What tools read, or a build makes.
const TOOLS: &[&str] = &[
    "package.json",
    "package-lock.json",
    "composer.json",
    "deno.json",
    "pyproject.toml",
    "cargo.toml",
    "updraft.toml",
    "pytest.ini",
    "tox.ini",
];
const TOOL_PREFIXES: &[&str] =
    &["tsconfig", "jsconfig", "docker-compose", "compose", "pnpm-", ".pre-commit", "jest.config"];
/// Folders that a build makes, or that belong to others.
const FOREIGN_FOLDERS: &[&str] = &[
    ".git",
    ".github",
    ".vscode",
    ".idea",
    "node_modules",
    ".venv",
    "venv",
    "vendor",
    "target",
    "dist",
    "build",
    "out",
    ".next",
    ".nuxt",
    ".output",
    ".svelte-kit",
    "public",
    "static",
    "assets",
    "bin",
    "obj",
    "__pycache__",
    "test",
    "tests",
    "fixtures",
];

/// Those files, relative to the folder.
pub(super) fn likely(folder: &Path) -> Vec<PathBuf> {
    let tracked = tracked(folder);
    let mut found = Vec::new();
    search(folder, folder, 0, &mut found);
    found.retain(|path| {
        let known = tracked.as_ref().map(|tracked| tracked.contains(path));
        differs_by_deploy(path, known)
    });
    found.sort();
    found.truncate(FILES_MAX);
    found
}

fn search(root: &Path, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(kind), name) = (entry.file_type(), entry.file_name()) else { continue };
        let foreign = FOREIGN_FOLDERS.iter().any(|foreign| name == *foreign);
        let path = entry.path();
        if kind.is_dir() && depth < DEPTH_MAX && !foreign {
            search(root, &path, depth + 1, found);
        } else if kind.is_file()
            && let Ok(path) = path.strip_prefix(root)
        {
            found.push(path.to_owned());
        }
    }
}

/// Whether a file is likely to differ from deploy to deploy. `tracked`: whether version control
/// has it; `None`: there is none to ask.
fn differs_by_deploy(path: &Path, tracked: Option<bool>) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let parts: Vec<_> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let has = |words: &[&str]| parts.iter().any(|part| words.contains(part));
    let tool = TOOLS.contains(&name.as_str())
        || TOOL_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if tool || has(SAMPLES) {
        return false;
    }
    if is_environment(path) {
        return true;
    }
    let like_config =
        name.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension));
    like_config && (has(DEPLOYS) || (tracked == Some(false) && has(CONFIGURATION)))
}

/// Whether a file holds variables: `.env`, `.env.local`, `prod.env`.
pub(super) fn is_environment(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == ".env" || name.starts_with(".env.") || path.extension().is_some_and(|it| it == "env")
}

/// The variables of such a file.
pub(super) fn variables(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let sound = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let unquoted = ['"', '\''].iter().find_map(|quote| {
            value.strip_prefix(*quote).and_then(|value| value.strip_suffix(*quote))
        });
        let plain = value.split(" #").next().unwrap_or(value).trim();
        sound.then(|| (name.to_owned(), unquoted.unwrap_or(plain).to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// What version control has of a folder; `None`: it is in none, or there is no git.
fn tracked(folder: &Path) -> Option<HashSet<PathBuf>> {
    let listed =
        Command::new("git").arg("-C").arg(folder).args(["ls-files", "-z"]).output().ok()?;
    if !listed.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    Some(text.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deploys_differ_in_files_that_say_so_or_that_nobody_tracks() {
        let table = [
            (".env", Some(true), true),
            (".env.local", None, true),
            ("prod.env", None, true),
            (".env.example", None, false),
            ("config/production.json", Some(true), true),
            ("config/default.json", Some(true), false),
            ("config.json", Some(false), true),
            ("config.json", Some(true), false),
            ("config.json", None, false),
            ("package.json", Some(false), false),
            ("tsconfig.prod.json", None, false),
            ("data.json", Some(false), false),
            ("server.js", Some(false), false),
            ("settings.sample.ini", Some(false), false),
            ("config/secrets.yml", Some(true), true),
            ("locales/products.json", Some(true), false),
        ];
        for (path, tracked, expected) in table {
            assert_eq!(differs_by_deploy(Path::new(path), tracked), expected, "{path} {tracked:?}");
        }
    }

    #[test]
    fn variables_are_read_as_shells_write_them() {
        let text = "# a comment\nA=1\nexport B = \"two words\"\nC='x'\nD=3 # why\n\nno line\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("A", "1"), pair("B", "two words"), pair("C", "x"), pair("D", "3")];
        assert_eq!(variables(text), expected);
    }
}
