//! A virtual environment of Python in an image: the same packages, without what tells where it
//! was made.

use std::fs;
use std::path::{Path, PathBuf};

use updraft_image::{Tree, TreeError};

/// Scripts are looked into up to this size.
const SCRIPT_MOST: u64 = 1 << 20;
/// What of `pyvenv.cfg` an interpreter reads.
const READ: [&str; 3] = ["home", "include-system-site-packages", "version"];
/// What differs from one installation to the next, or is there for installers alone.
const LEFT_OUT: [&str; 4] = ["__pycache__", "direct_url.json", "uv_cache.json", ".lock"];

/// Links that lead from an environment's Python to the interpreter.
const LINKS_MOST: usize = 8;

/// The interpreter that an environment was made with, outside of it.
pub(super) fn interpreter(environment: &Path) -> Option<String> {
    let mut at = environment.join("bin/python");
    for _ in 0..LINKS_MOST {
        let target = fs::read_link(&at).ok()?;
        if target.is_absolute() {
            return target.to_str().map(str::to_owned);
        }
        at = at.with_file_name(target);
    }
    None
}

/// Adds the environment in `from` to the image at `at`.
pub(super) fn add(tree: &mut Tree, from: &Path, at: &str) -> Result<(), TreeError> {
    let from = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
    let mut open = vec![(from.clone(), at.to_owned())];
    while let Some((path, place)) = open.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if LEFT_OUT.contains(&name.as_str()) || name.ends_with(".pyc") {
            continue;
        }
        let unreadable = |source| TreeError::Read { path: path.clone(), source };
        let metadata = fs::symlink_metadata(&path).map_err(unreadable)?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                open.push((entry.path(), format!("{place}/{name}")));
            }
        } else if metadata.is_file() && metadata.len() <= SCRIPT_MOST && is_rewritten(&from, &path)
        {
            let text = fs::read(&path).map_err(unreadable)?;
            if let Some(text) = rewritten(&name, text, &from, at) {
                let is_script = text.starts_with(b"#!");
                tree.add_bytes(&place, text, is_script)?;
            }
        } else {
            tree.add_host(&path, &place)?;
        }
    }
    Ok(())
}

/// Files in which the environment's own path may stand.
fn is_rewritten(environment: &Path, path: &Path) -> bool {
    let parent = path.parent().map(PathBuf::from).unwrap_or_default();
    let name = path.file_name().unwrap_or_default();
    parent == environment.join("bin") || name == "pyvenv.cfg" || name == "RECORD"
}

/// The file as it is in the image; `None`: it is of no use there.
fn rewritten(name: &str, text: Vec<u8>, from: &Path, at: &str) -> Option<Vec<u8>> {
    if name.to_ascii_lowercase().starts_with("activate") {
        return None;
    }
    let Ok(text) = String::from_utf8(text.clone()) else { return Some(text) };
    let lines = text.lines();
    let text = match name {
        "pyvenv.cfg" => {
            let is_read = |line: &&str| {
                READ.iter().any(|key| line.split('=').next().is_some_and(|it| it.trim() == *key))
            };
            lines.filter(is_read).flat_map(|line| [line, "\n"]).collect()
        }
        // Hashes of scripts tell the path in their first line.
        "RECORD" => {
            let stays = |line: &&str| !line.starts_with("../") && !line.contains(".pyc,");
            lines.filter(stays).flat_map(|line| [line, "\n"]).collect()
        }
        _ => text.replace(&from.display().to_string(), at),
    };
    Some(text.into_bytes())
}
