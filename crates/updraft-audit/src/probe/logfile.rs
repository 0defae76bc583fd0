//! `XI.file`: the program says what it has to say to standard output, and keeps no log files.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use updraft_engine::ProcessId;

use super::{Bench, Control, Dynamic, Looking, serves_http};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::Running;
use crate::lab::client::Request;
use crate::seen::Seen;

pub(super) const LOGFILE: Dynamic = Dynamic {
    id: ProbeId::XiFile,
    applies: serves_http,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::LogsToFile]),
};

/// Requests before it is looked.
const REQUESTS: usize = 20;
/// How long one may take.
const QUESTION: Duration = Duration::from_secs(2);
/// How long a program may take to write what it has to say.
const WRITTEN: Duration = Duration::from_millis(300);
/// The end of a file that is looked through, in bytes.
const TAIL_BYTES: u64 = 64 * 1024;
/// Folders below the program's own that are looked through.
const DEPTH_MAX: usize = 6;
/// A file that a program writes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    /// As the program calls it.
    path: PathBuf,
    /// Whether it only ever grows.
    appends: bool,
    /// Whether a request stands in it.
    names_request: bool,
}

async fn look(bench: Bench) -> Seen {
    let running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let canary = format!("updraft-{:016x}", fastrand::u64(..));
    let ready = bench.subject.ready.as_deref().unwrap_or("/");
    let mut answers = 0;
    for number in 0..REQUESTS {
        let target = if number % 2 == 0 { format!("/{canary}") } else { ready.to_owned() };
        let answer = Request::get(&target).send(running.address(), bench.limit(QUESTION)).await;
        answers += usize::from(answer.is_ok());
    }
    tokio::time::sleep(bench.limit(WRITTEN)).await;
    let written = written(&running, &canary, &bench.subject.folder);
    let mut seen = if answers == 0 {
        Seen::unknown("it answered no request, so there was nothing to log")
    } else {
        verdict(&written, answers)
    };
    if let Some(first) = written.first() {
        seen = seen.reproduced_by(format!(
            "({}) & sleep 2; curl -s http://127.0.0.1:8080/updraft-canary > /dev/null; sleep 1; tail -n 3 {}",
            bench.pasted(8080),
            shell_words::quote(&first.path.to_string_lossy())
        ));
    }
    seen.timeline = running.end().await;
    seen
}

fn written(running: &Running, canary: &str, folder: &Path) -> Vec<Written> {
    let mut all: Vec<Written> = Vec::new();
    for process in running.program() {
        for one in open_files(process, canary) {
            if !all.iter().any(|other| other.path == one.path) {
                all.push(one);
            }
        }
    }
    // Those that were opened and closed again.
    let copy = running.copy();
    if running.written().is_some() {
        files(copy, DEPTH_MAX, &mut |path| {
            let Ok(inside) = path.strip_prefix(copy) else { return };
            let own = folder.join(inside);
            if is_log(&own) && !all.iter().any(|other| other.path == own) {
                let names_request = ends_with(path, canary);
                all.push(Written { path: own, appends: false, names_request });
            }
        });
    }
    all
}

/// The regular files that a process has open for appending.
fn open_files(process: ProcessId, canary: &str) -> Vec<Written> {
    let root = format!("/proc/{}", process.pid);
    let entries = fs::read_dir(format!("{root}/fd")).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in entries {
        let Ok(path) = fs::read_link(entry.path()) else { continue };
        let info = format!("{root}/fdinfo/{}", entry.file_name().to_string_lossy());
        let flags = fs::read_to_string(info).ok().and_then(|text| flags(&text));
        let regular = fs::metadata(entry.path()).is_ok_and(|it| it.is_file());
        let kernel = ["/proc", "/dev", "/sys", "/memfd:"]
            .iter()
            .any(|it| path.to_string_lossy().starts_with(it));
        if regular && !kernel && flags.is_some_and(|flags| flags & OFlags::APPEND.bits() != 0) {
            let names_request = ends_with(&entry.path(), canary);
            found.push(Written { path, appends: true, names_request });
        }
    }
    found
}

fn flags(info: &str) -> Option<u32> {
    let line = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

/// Whether a text stands in the last part of a file.
fn ends_with(path: &Path, text: &str) -> bool {
    let tail = || {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut tail)?;
        Ok::<_, std::io::Error>(tail)
    };
    tail().is_ok_and(|tail| String::from_utf8_lossy(&tail).contains(text))
}

/// Whether a file is called as logs are.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let by_name = name.ends_with(".log") || name.contains(".log.");
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    by_name || matches!(&*folder.to_string_lossy(), "log" | "logs")
}

fn files(folder: &Path, depth: usize, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => files(&entry.path(), depth - 1, each),
            Ok(kind) if kind.is_file() => each(&entry.path()),
            _ => {}
        }
    }
}

fn verdict(written: &[Written], answers: usize) -> Seen {
    let listed = written.iter().map(|it| it.path.display().to_string()).collect();
    let log = written.iter().find(|it| it.names_request || is_log(&it.path));
    let seen = match (log, written.first()) {
        (Some(Written { path, names_request: true, .. }), _) => {
            Seen::fail(format!("it writes its requests to a file: {}", path.display()))
        }
        (Some(Written { path, .. }), _) => {
            Seen::fail(format!("it writes a log to a file: {}", path.display()))
        }
        (None, Some(Written { path, .. })) => {
            Seen::warn(format!("it appends to a file that may be a log: {}", path.display()))
        }
        (None, None) => {
            return Seen::pass(format!(
                "after {answers} requests it has no log file open or written"
            ));
        }
    };
    seen.listing("log_files", listed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn a_file_is_a_log_by_its_name_or_by_what_stands_in_it() {
        let table = [
            ("/srv/app/access.log", true, false, Verdict::Fail),
            ("/srv/app/access.log", false, false, Verdict::Fail),
            ("/srv/app/log/production", true, false, Verdict::Fail),
            ("/srv/app/requests.txt", true, true, Verdict::Fail),
            ("/srv/app/data.aof", true, false, Verdict::Warn),
        ];
        for (path, appends, names_request, expected) in table {
            let one = Written { path: PathBuf::from(path), appends, names_request };
            assert_eq!(verdict(&[one], 20).verdict, expected, "{path}");
        }
        assert_eq!(verdict(&[], 20).verdict, Verdict::Pass);
    }

    #[test]
    fn files_that_are_open_for_appending_are_found_with_what_stands_in_them() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let own = ProcessId::of(std::process::id()).unwrap();
        let path = folder.path().canonicalize().unwrap().join("some.txt");
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        let _plain = fs::File::create(folder.path().join("plain.log")).unwrap();
        let names = || {
            let all = open_files(own, "canary-7");
            let of_folder =
                all.into_iter().filter(|it| it.path.starts_with(path.parent().unwrap()));
            of_folder.map(|it| (it.path, it.names_request)).collect::<Vec<_>>()
        };
        assert_eq!(names(), [(path.clone(), false)]);
        writeln!(file, "GET /canary-7").unwrap();
        assert_eq!(names(), [(path.clone(), true)]);
    }
}
