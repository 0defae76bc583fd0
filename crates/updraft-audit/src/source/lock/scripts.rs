//! A folder without a manifest: either its scripts need nothing but the library that comes with
//! their language, or they depend on what nothing declares.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use regex::Regex;

use super::text;
use crate::seen::Seen;

/// So deep, and so many scripts, are read.
const DEPTH_MAX: usize = 4;
const SCRIPTS_MAX: usize = 500;

/// `sys.stdlib_module_names` of Python 3.11, and what 3.12 to 3.14 have added.
const OF_PYTHON: &str = include_str!("scripts/python.txt");

/// `module.builtinModules` of Node.js 24.
const OF_NODE: &str = include_str!("scripts/node.txt");

/// Says whether the scripts of a folder import anything from elsewhere.
pub(super) fn look(folder: &Path) -> Seen {
    let (Ok(python), Ok(node)) = (
        Regex::new(
            r"(?m)^[ \t]*(?:from[ \t]+([A-Za-z_]\w*)[\w.]*[ \t]+import\b|import[ \t]+([A-Za-z_]\w*(?:[ \t]*,[ \t]*\w+)*))",
        ),
        Regex::new(
            r#"(?:\brequire\(|\bfrom[ \t]+|\bimport[ \t]+|\bimport\()[ \t]*["']([^"'\n]+)["']"#,
        ),
    ) else {
        return Seen::unknown("the scripts could not be read");
    };
    let scripts = scripts(folder);
    let own: BTreeSet<String> = scripts.iter().flat_map(|script| names(script)).collect();
    let mut read = 0_usize;
    for script in &scripts {
        let Some(source) = text::read(&folder.join(script)) else { continue };
        let is_python = script.extension().is_some_and(|ending| ending == "py");
        let pattern = if is_python { &python } else { &node };
        let imports = pattern
            .captures_iter(&source)
            .flat_map(|found| {
                found.iter().skip(1).flatten().map(|one| one.as_str()).collect::<Vec<_>>()
            })
            .flat_map(|names| names.split(','))
            .map(str::trim);
        let foreign = imports.filter(|name| !own.contains(*name)).find(|name| {
            if is_python { is_foreign(OF_PYTHON, name) } else { is_foreign_to_node(name) }
        });
        if let Some(foreign) = foreign {
            return Seen::unknown(format!(
                "{} imports `{foreign}`, and the folder has no manifest that declares it",
                script.display()
            ));
        }
        read += 1;
    }
    if read == 0 || read >= SCRIPTS_MAX {
        return Seen::unknown(
            "the folder has no manifest of a package manager, and what the program depends on \
             could not be read",
        );
    }
    Seen::not_applicable(format!(
        "no manifest is needed: {read} scripts import nothing but each other and the library of \
         their language"
    ))
}

fn scripts(folder: &Path) -> Vec<PathBuf> {
    let endings = ["py", "js", "mjs", "cjs"];
    WalkBuilder::new(folder)
        .max_depth(Some(DEPTH_MAX))
        .require_git(false)
        .git_global(false)
        .build()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.path().strip_prefix(folder).map(Path::to_owned).ok())
        .filter(|path| path.extension().is_some_and(|one| endings.iter().any(|end| one == *end)))
        .take(SCRIPTS_MAX)
        .collect()
}

/// By what names another script can import this one.
fn names(script: &Path) -> impl Iterator<Item = String> {
    let folders = script.parent().into_iter().flat_map(Path::iter);
    folders.chain(script.file_stem()).map(|name| name.to_string_lossy().into_owned())
}

fn is_foreign(known: &str, name: &str) -> bool {
    !name.starts_with('_') && !known.split_whitespace().any(|one| one == name)
}

fn is_foreign_to_node(name: &str) -> bool {
    let is_path =
        name.starts_with(['.', '/', '#']) || name.starts_with("node:") || name.starts_with("file:");
    let package = name.split('/').next().unwrap_or(name);
    !is_path && is_foreign(OF_NODE, package)
}
