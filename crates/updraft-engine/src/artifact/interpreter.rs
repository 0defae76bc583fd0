//! Programs of this machine that an image needs to start the service's own: Node, Python, a
//! shell. An interpreter is taken with the library that it reads by itself.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use updraft_image::{ClosureError, HarvestedFile, Host, Linkage, Tree, linkage};

/// Where programs are looked up first, and what a name is linked from.
const NAMES: &str = "/usr/bin";

/// Parts of Python's own library that no service reads: its tests, its editor, what compiles
/// extensions, and packages of the machine.
const NOT_OF_PYTHON: [&str; 7] =
    ["__pycache__", "test", "idlelib", "turtledemo", "ensurepip", "site-packages", "dist-packages"];

/// What Python says of itself: the program, and the folders of its library.
const ASK_PYTHON: &str = "import os, sys, sysconfig\n\
    print(os.path.realpath(getattr(sys, '_base_executable', sys.executable)))\n\
    print(sysconfig.get_path('stdlib'))\n\
    print(sysconfig.get_path('platstdlib'))";

/// Takes `program` and what belongs to it; gives its path in the image, or what is wrong.
pub(super) fn add(tree: &mut Tree, program: &str, folder: &Path) -> Result<String, String> {
    let found = find(program).ok_or_else(|| {
        format!(
            "`{program}` is no file of the service and no program of this machine: name it in \
             `keep` or `include`, install it, or give the image a base that has it"
        )
    })?;
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.starts_with("python") {
        return python(tree, &found, program, folder);
    }
    let real = fs::canonicalize(&found).unwrap_or(found);
    if let Ok(Linkage::Script { interpreter }) = linkage(&real) {
        return Err(format!(
            "`{program}` is a script for `{interpreter}` ({}): start the program that it starts, \
             or give the image a base that has it",
            real.display()
        ));
    }
    let at = file(tree, &real)?;
    named(tree, program, &at)?;
    Ok(at)
}

/// The packages of this machine that interpreters come from.
pub(super) fn harvested(tree: &Tree, host: &Host) -> Result<Vec<HarvestedFile>, ClosureError> {
    updraft_image::origins(tree, host)
}

fn python(tree: &mut Tree, found: &Path, program: &str, folder: &Path) -> Result<String, String> {
    let mut command = Command::new(found);
    command.args(["-I", "-c", ASK_PYTHON]).current_dir(folder).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = said.lines().map(PathBuf::from);
    let (Some(real), true) = (lines.next(), output.status.success()) else {
        return Err(format!("`{program}` does not say where its library is: is it Python 3?"));
    };
    let at = file(tree, &real)?;
    for library in lines {
        let text = path(&library)?;
        if !tree.contains(text) {
            library_of_python(tree, &library)?;
        }
    }
    named(tree, program, &at)?;
    Ok(at)
}

fn library_of_python(tree: &mut Tree, folder: &Path) -> Result<(), String> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder)
            .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let is_config = name.starts_with("config-");
            if NOT_OF_PYTHON.contains(&&*name) || is_config {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                _ => drop(file(tree, &path)?),
            }
        }
    }
    Ok(())
}

/// A file at the path that it has here.
fn file(tree: &mut Tree, from: &Path) -> Result<String, String> {
    let at = path(from)?;
    tree.add_host(from, at).map_err(|error| error.to_string())?;
    Ok(at.to_owned())
}

fn path(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} has no name that an image can have", path.display()))
}

/// Lets a program be found by the name that it is started by.
fn named(tree: &mut Tree, program: &str, at: &str) -> Result<(), String> {
    let by_name = match program.starts_with('/') {
        true => program.to_owned(),
        false => format!("{NAMES}/{program}"),
    };
    if by_name == at || tree.contains(&by_name) {
        return Ok(());
    }
    tree.add_link(&by_name, at).map_err(|error| error.to_string())
}

fn find(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}
