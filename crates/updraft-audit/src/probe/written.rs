//! What a program writes while it runs, and what kind of file that is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::Bench;
use super::exercise::{Exercise, exercise};
use crate::lab::Running;
use crate::lab::tree::{Change, How};
use crate::report::{Lane, Moment};
use crate::seen::Seen;

/// What a file is for, as far as its name and its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Database,
    Upload,
    Log,
    Code,
    Cache,
    Pid,
    Other,
}

/// What a program wrote during one run.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// In its folder.
    pub(super) changes: Vec<Change>,
    /// Files elsewhere that it had open for writing.
    pub(super) elsewhere: Vec<PathBuf>,
    pub(super) exercise: Exercise,
    pub(super) timeline: Vec<Moment>,
}

/// How long a program may take to end; what it writes then counts too.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Names of folders whose content can be made again.
const CACHES: &[&str] = &[
    "__pycache__",
    "cache",
    "caches",
    "_cacache",
    ".parcel-cache",
    ".turbo",
    ".gradle",
    ".vite",
    ".npm",
];
const CODE: &[&str] = &[
    "js", "mjs", "cjs", "jsx", "ts", "tsx", "py", "rb", "php", "pl", "lua", "ex", "beam", "java",
    "class", "jar", "go", "rs", "c", "cc", "cpp", "h", "so", "dll", "exe", "sh", "node", "wasm",
    "cs", "kt", "scala", "clj",
];

/// Starts the program, asks it for a few things, and ends it.
pub(super) async fn observe(bench: &Bench) -> Result<Written, Seen> {
    let mut running = bench.start().await?;
    let exercise = exercise(bench, &running).await;
    let folder = bench.subject.folder.clone();
    let unreadable = |error: std::io::Error| {
        Seen::unknown(format!("what it has written cannot be listed: {error}"))
    };
    // Twice: some files are removed at the end, and some are written only then.
    let before = running.changes(&folder);
    let elsewhere = elsewhere(&running, &folder);
    running.signal(Signal::TERM);
    if running.ended(bench.limit(END_WITHIN)).await.is_none() {
        running.note(Lane::Audit, "it does not end at SIGTERM; what it has written so far counts");
    }
    let after = running.changes(&folder);
    let timeline = running.end().await;
    let mut changes = before.map_err(unreadable)?;
    changes.extend(after.map_err(unreadable)?);
    changes.sort();
    changes.dedup_by(|one, other| one.path == other.path);
    Ok(Written { changes, elsewhere, exercise, timeline })
}

/// Regular files outside of its folder, and of those for temporary files, that it can write.
fn elsewhere(running: &Running, folder: &Path) -> Vec<PathBuf> {
    let ours = [folder, running.folder(), running.place()];
    let apart = ["/tmp", "/var/tmp", "/dev", "/proc", "/sys"].map(Path::new);
    let mut found = Vec::new();
    for process in running.program() {
        let entries = fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten();
        for entry in entries.flatten() {
            let Ok(path) = fs::read_link(entry.path()) else { continue };
            let number = entry.file_name().to_string_lossy().into_owned();
            let known = ours.iter().chain(&apart).any(|known| path.starts_with(known));
            if !known && path.is_file() && is_writable(process.pid, &number) {
                found.push(path);
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Whether a file is open for writing (`proc_pid_fdinfo(5)`: the flags are octal).
fn is_writable(pid: u32, number: &str) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 0o3 != 0)
}

/// What a file is for.
pub(super) fn class(path: &Path, begins: &[u8], is_executable: bool) -> Class {
    let lower = path.to_string_lossy().to_ascii_lowercase();
    let mut parts: Vec<&str> = lower.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
    let is_cache =
        |part: &&str| CACHES.contains(part) || part.starts_with('.') && part.ends_with("cache");
    if parts.iter().any(is_cache) || matches!(extension, "pyc" | "pyo") {
        return Class::Cache;
    }
    if begins.starts_with(b"SQLite format 3") || is_database(name, extension) {
        return Class::Database;
    }
    if extension == "pid" {
        return Class::Pid;
    }
    if extension == "log" || name.contains(".log.") || parts.contains(&"logs") {
        return Class::Log;
    }
    if parts.iter().any(|part| matches!(*part, "upload" | "uploads" | "attachments")) {
        return Class::Upload;
    }
    let runs = begins.starts_with(b"\x7fELF") || begins.starts_with(b"#!") || is_executable;
    if CODE.contains(&extension) || runs { Class::Code } else { Class::Other }
}

fn is_database(name: &str, extension: &str) -> bool {
    let journal = ["-wal", "-shm", "-journal"].iter().find_map(|end| name.strip_suffix(end));
    let extension = match journal {
        Some(main) => main.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default(),
        None => extension,
    };
    matches!(extension, "sqlite" | "sqlite3" | "db" | "db3" | "mdb" | "rdb" | "aof" | "leveldb")
}

impl Class {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Database => "a database",
            Self::Upload => "an upload",
            Self::Log => "a log",
            Self::Code => "code",
            Self::Cache => "a cache",
            Self::Pid => "a process id",
            Self::Other => "a file",
        }
    }
}

/// Changes as they stand in evidence: the first few, each with what it is.
pub(super) fn words(all: &[(Class, String)]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> =
        all.iter().take(SHOWN).map(|(class, path)| format!("{path} ({})", class.words())).collect();
    let more = all.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// A line that shows which files a run leaves.
pub(super) fn pasted(bench: &Bench) -> String {
    let Bench { subject, .. } = bench;
    let folder = shell_words::quote(&subject.folder.to_string_lossy()).into_owned();
    let (variable, line) = (&subject.port_variable, subject.line());
    format!(
        "(cd {folder} && touch /tmp/before && {{ {variable}=8080 timeout 4 {line} & }} && sleep 2 && curl -s localhost:8080/ >/dev/null; wait; find . -newer /tmp/before -type f)"
    )
}

impl Change {
    /// What it is for.
    pub(super) fn class(&self) -> Class {
        class(&self.path, &self.begins, self.is_executable)
    }

    /// Its path with what became of it.
    pub(super) fn words(&self) -> String {
        let path = self.path.display();
        match self.how {
            How::Created => format!("{path} is new"),
            How::Changed => format!("{path} was changed"),
            How::Removed => format!("{path} was removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_first_bytes_tell_what_a_file_is_for() {
        let table: &[(&str, &[u8], bool, Class)] = &[
            ("data/app.sqlite", b"", false, Class::Database),
            ("app.db-wal", b"", false, Class::Database),
            ("state", b"SQLite format 3\0", false, Class::Database),
            ("data.mdb", b"", false, Class::Database),
            ("uploads/a.png", b"\x89PNG", false, Class::Upload),
            ("log/production.log", b"", false, Class::Log),
            ("app.log.1", b"", false, Class::Log),
            ("app/__pycache__/a.cpython-311.pyc", b"", false, Class::Cache),
            ("node_modules/.cache/x/a.js", b"", false, Class::Cache),
            (".next/cache/a.db", b"", false, Class::Cache),
            ("tmp/server.pid", b"", false, Class::Pid),
            ("dist/app.js", b"", false, Class::Code),
            ("run", b"#!/bin/sh", false, Class::Code),
            ("tool", b"", true, Class::Code),
            ("data.json", b"{}", false, Class::Other),
            ("debug.dbx", b"", false, Class::Other),
        ];
        for (path, begins, executable, expected) in table {
            assert_eq!(class(Path::new(path), begins, *executable), *expected, "{path}");
        }
    }

    #[test]
    fn the_flags_of_an_open_file_tell_whether_it_can_be_written() {
        use std::os::fd::AsRawFd as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let writes = fs::File::create(&path).unwrap();
        let reads = fs::File::open(&path).unwrap();
        let pid = std::process::id();
        assert!(is_writable(pid, &writes.as_raw_fd().to_string()));
        assert!(!is_writable(pid, &reads.as_raw_fd().to_string()));
    }
}
