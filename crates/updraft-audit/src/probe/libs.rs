//! `II.lib`: the program loads no library of the machine but those that its interpreter and
//! every system have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::exercise::exercise;
use super::{Bench, Dynamic, Looking, always};
use crate::catalogue::ProbeId;
use crate::lab::Running;
use crate::seen::Seen;

mod needed;

/// It has no controls: this executable loads nothing but what every system has, and it warns
/// at most.
pub(super) const LIBS: Dynamic = Dynamic {
    id: ProbeId::IiLib,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[],
};

/// What every image with the C library has: the loader, the C and C++ libraries, name services,
/// and what distributions link nearly everything with.
const BASE: &[&str] = &[
    "ld-linux",
    "ld-musl",
    "libanl",
    "libatomic",
    "libbz2",
    "libc",
    "libc++",
    "libcrypt",
    "libcrypto",
    "libdl",
    "libgcc_s",
    "libgomp",
    "liblzma",
    "libm",
    "libmvec",
    "libnsl",
    "libnss_",
    "libpthread",
    "libresolv",
    "librt",
    "libssl",
    "libstdc++",
    "libutil",
    "libz",
];
/// A prefix that others share says nothing of whose a library is.
const SHARED: &[&str] = &["/", "/usr", "/usr/local"];

/// What processes have loaded.
struct Loaded {
    /// The executables that run.
    executables: BTreeSet<PathBuf>,
    /// The libraries, whoever's they are.
    libraries: BTreeSet<PathBuf>,
}

async fn look(bench: Bench) -> Seen {
    let running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    exercise(&bench, &running).await;
    let loaded = loaded(&running);
    let own = [bench.subject.folder.clone(), running.folder().to_owned()];
    let foreign = foreign(&loaded, &own, needed::of);
    let mut seen = verdict(&loaded, &foreign);
    seen.timeline = running.end().await;
    seen
}

fn verdict(loaded: &Loaded, foreign: &[PathBuf]) -> Seen {
    if loaded.executables.is_empty() {
        return Seen::unknown("the memory maps of its processes could not be read");
    }
    if foreign.is_empty() {
        let count = loaded.libraries.len();
        return Seen::pass(format!(
            "the {count} libraries that it has loaded are its own, its interpreter's, or of \
             every system"
        ));
    }
    let all: Vec<_> = foreign.iter().map(|path| path.display().to_string()).collect();
    Seen::warn(format!("it loads libraries of this machine: {}", all.join(", ")))
        .listing("libraries", all)
}

/// Libraries that are neither in the artefact, nor the interpreter's, nor of every system.
fn foreign(
    loaded: &Loaded,
    own: &[PathBuf],
    needed: impl Fn(&Path) -> Vec<String>,
) -> Vec<PathBuf> {
    let prefixes: Vec<PathBuf> = loaded.executables.iter().filter_map(|it| prefix(it)).collect();
    let by_name: BTreeMap<String, &PathBuf> =
        loaded.libraries.iter().filter_map(|path| Some((name(path)?, path))).collect();
    // What an executable is linked with comes with it, whoever installs it.
    let mut linked: BTreeSet<PathBuf> = BTreeSet::new();
    let is_in = |path: &PathBuf, folders: &[PathBuf]| folders.iter().any(|it| path.starts_with(it));
    let is_standard = |path: &PathBuf| {
        // Where a distribution keeps the modules of the interpreter itself.
        path.components().any(|part| part.as_os_str() == "lib-dynload")
    };
    let modules = loaded.libraries.iter();
    let modules = modules.filter(|path| is_standard(path) || is_in(path, &prefixes));
    let mut left: Vec<PathBuf> = loaded.executables.iter().chain(modules).cloned().collect();
    while let Some(file) = left.pop() {
        for name in needed(&file) {
            if let Some(path) = named(&by_name, &name)
                && linked.insert(path.clone())
            {
                left.push(path.clone());
            }
        }
    }
    let all = loaded.libraries.iter();
    let foreign = all.filter(|path| {
        !is_in(path, own)
            && !is_in(path, &prefixes)
            && !is_standard(path)
            && !linked.contains(*path)
            && !is_base(path)
    });
    foreign.cloned().collect()
}

/// A library is asked for by a name (`libuuid.so.1`) that is often a link to the file
/// (`libuuid.so.1.3.0`).
fn named<'a>(by_name: &BTreeMap<String, &'a PathBuf>, asked: &str) -> Option<&'a PathBuf> {
    let longer = format!("{asked}.");
    let mut after = by_name.range(asked.to_owned()..);
    let fits = |name: &String| name == asked || name.starts_with(&longer);
    after.find(|(name, _)| fits(name)).map(|(_, path)| *path)
}

/// `/opt/node` of `/opt/node/bin/node`.
fn prefix(executable: &Path) -> Option<PathBuf> {
    let prefix = executable.parent()?.parent()?;
    (!SHARED.iter().any(|shared| prefix == Path::new(shared))).then(|| prefix.to_owned())
}

fn is_base(path: &Path) -> bool {
    let Some(name) = name(path) else { return false };
    let stem = name.split(".so").next().unwrap_or_default();
    // `libc-2.31.so`, as older systems call it.
    let stem = stem.split_once("-2.").map_or(stem, |(stem, _)| stem);
    BASE.iter().any(|base| match base.ends_with('_') || base.starts_with("ld-") {
        true => stem.starts_with(base),
        false => stem == *base,
    })
}

fn name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

fn loaded(running: &Running) -> Loaded {
    let mut loaded = Loaded { executables: BTreeSet::new(), libraries: BTreeSet::new() };
    for process in running.program() {
        let Ok(maps) = fs::read_to_string(format!("/proc/{}/maps", process.pid)) else { continue };
        if let Ok(executable) = fs::read_link(format!("/proc/{}/exe", process.pid)) {
            loaded.executables.insert(executable);
        }
        loaded.libraries.extend(maps.lines().filter_map(library));
    }
    loaded
}

/// The library of a line of `proc_pid_maps(5)`: mapped, executable, and called as libraries are.
fn library(line: &str) -> Option<PathBuf> {
    let at = line.find('/')?;
    let (fields, path) = line.split_at(at);
    let executable = fields.split_ascii_whitespace().nth(1)?.contains('x');
    let name = path.rsplit('/').next()?;
    let is_library = name.ends_with(".so") || name.contains(".so.") || name.ends_with(".node");
    (executable && is_library).then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_its_own_its_interpreter_s_or_the_machine_s() {
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<BTreeSet<_>>();
        let loaded = Loaded {
            executables: paths(&["/usr/bin/node", "/opt/py/bin/python3"]),
            libraries: paths(&[
                "/usr/lib/libnode.so.108",
                "/usr/lib/libuv.so.1",
                "/usr/lib/libuuid.so.1.3.0",
                "/opt/py/lib/python3/x.so",
                "/app/native/a.so",
                "/usr/lib/libc.so.6",
                "/usr/lib/libssl.so.3",
                "/usr/lib/ld-linux-x86-64.so.2",
                "/usr/lib/libnss_files.so.2",
                "/usr/lib/libmagick.so.6",
                "/usr/lib/libclever.so.1",
            ]),
        };
        let needed = |path: &Path| match path.to_str() {
            Some("/usr/bin/node") => vec!["libnode.so.108".to_owned()],
            Some("/usr/lib/libnode.so.108") => vec!["libuv.so.1".to_owned()],
            Some("/opt/py/lib/python3/x.so") => vec!["libuuid.so.1".to_owned()],
            Some("/app/native/a.so") => vec!["libmagick.so.6".to_owned()],
            _ => Vec::new(),
        };
        let foreign = foreign(&loaded, &["/app".into()], needed);
        assert_eq!(
            foreign,
            [PathBuf::from("/usr/lib/libclever.so.1"), PathBuf::from("/usr/lib/libmagick.so.6")]
        );
    }

    #[test]
    fn only_what_is_mapped_to_be_run_is_loaded() {
        let line = "7f00-7f01 r-xp 00000000 fe:00 1 /usr/lib/libx.so.1";
        assert_eq!(library(line), Some(PathBuf::from("/usr/lib/libx.so.1")));
        assert_eq!(library(&line.replace("r-xp", "r--p")), None);
        assert_eq!(library("7f00-7f01 r-xp 00000000 fe:00 1 /usr/bin/node"), None);
        assert_eq!(library("7f00-7f01 r-xp 00000000 00:00 0 [vdso]"), None);
    }

    #[test]
    fn this_executable_is_linked_with_the_c_library() {
        let own = std::env::current_exe().unwrap();
        assert!(needed::of(&own).iter().any(|name| name.starts_with("libc.so")));
        assert!(needed::of(Path::new("/proc/self/status")).is_empty());
    }
}
