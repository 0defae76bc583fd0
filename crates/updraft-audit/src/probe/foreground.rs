//! `VIII.fg`: the program stays in the foreground and writes no file with its process id.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_engine::ProcessId;

use super::{Bench, Control, Dynamic, Looking, always, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::process::{self, parent_and_state};
use crate::lab::{Ended, Running, Setup, Unstartable};
use crate::report::Lane;
use crate::seen::Seen;
use crate::verdict::Verdict;

pub(super) const FOREGROUND: Dynamic = Dynamic {
    id: ProbeId::ViiiFg,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::Daemon]),
};

/// How long what is left has to live on before it counts as gone into the background.
const LIVES_ON: Duration = Duration::from_secs(1);
/// The longest file that can hold a process id, in bytes.
const PID_BYTES_MAX: u64 = 32;
/// Folders below the program's own that are looked through.
const DEPTH_MAX: usize = 4;

async fn look(bench: Bench) -> Seen {
    let launched = bench.lab.launch(&bench.subject, &Setup::new(bench.shape)).await;
    let mut running = match launched {
        Ok(running) => running,
        Err(error) => return Seen::unknown(error.to_string()),
    };
    let mut seen = match running.ready(bench.patience()).await {
        Ok(()) => stays(&running),
        Err(error @ Unstartable::Ended { .. }) => left(&bench, &mut running, &error).await,
        Err(error) => Seen::unknown(unready(&error)),
    };
    seen.timeline = running.end().await;
    if seen.verdict == Verdict::Fail {
        let look = "ss -ltnp | grep :8080; find . -name '*.pid'";
        seen = seen.reproduced_by(format!(
            "{}; kill -0 $P && echo \"$P still runs\"; {look}",
            bench.started()
        ));
    }
    seen
}

/// The program has ended, and was not ready.
async fn left(bench: &Bench, running: &mut Running, error: &Unstartable) -> Seen {
    let ended = running.ended(Duration::ZERO).await;
    let lives = !running.gone(bench.limit(LIVES_ON)).await;
    let left = running.program();
    let serves = running.listening().first().map(|it| it.address);
    if let Some(first) = left.first() {
        running.note(Lane::Program, format!("`{}` lives on", process::line(*first)));
    }
    match (ended, left.first(), serves) {
        (Some(ended), Some(first), Some(address)) if lives => Seen::fail(format!(
            "it goes into the background: it ends ({ended}), and process {} (`{}`) serves on at {address}",
            first.pid,
            process::line(*first)
        )),
        (Some(Ended::Code(0)), Some(first), None) if lives => Seen::fail(format!(
            "it goes into the background: it ends with exit code 0, and process {} (`{}`) lives on",
            first.pid,
            process::line(*first)
        )),
        _ => Seen::unknown(unready(error)),
    }
}

/// The program runs and is ready.
fn stays(running: &Running) -> Seen {
    let all = running.program();
    let Some(leader) = running.leader() else {
        return Seen::unknown("its first process cannot be told");
    };
    let astray = all.iter().find(|process| !descends(**process, leader));
    if let Some(astray) = astray {
        return Seen::fail(format!(
            "process {} (`{}`) has left the program that started it: whoever stops that does not stop this",
            astray.pid,
            process::line(*astray)
        ));
    }
    let files = pid_files(running.copy(), &all);
    if let Some(file) = files.first() {
        let file = file.strip_prefix(running.copy()).unwrap_or(file);
        return Seen::fail(format!("it writes its process id to a file: {}", file.display()));
    }
    Seen::pass(format!("it stays in the foreground with its {} processes", all.len()))
}

fn descends(process: ProcessId, leader: ProcessId) -> bool {
    // As deep as any tree of processes is.
    const DEPTH: usize = 64;
    let mut pid = process.pid;
    for _ in 0..DEPTH {
        if pid == leader.pid {
            return true;
        }
        match parent_and_state(pid) {
            Some((parent, _)) if parent > 1 => pid = parent,
            // It has ended since.
            None => return true,
            Some(_) => return false,
        }
    }
    true
}

/// Files called `….pid` that hold the id of one of these processes.
fn pid_files(folder: &Path, processes: &[ProcessId]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    search(folder, DEPTH_MAX, &mut |path| {
        let named = path.extension().is_some_and(|extension| extension == "pid");
        if !named || fs::metadata(path).map_or(u64::MAX, |it| it.len()) > PID_BYTES_MAX {
            return;
        }
        let holds: Option<u32> =
            fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        if holds.is_some_and(|pid| ids(processes).contains(&pid)) {
            found.push(path.to_owned());
        }
    });
    found
}

/// As they are called here and inside of their namespace (`NSpid` of `proc_pid_status(5)`).
fn ids(processes: &[ProcessId]) -> Vec<u32> {
    let inside = |process: &ProcessId| {
        let text = fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        line.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()
    };
    processes.iter().flat_map(inside).collect()
}

/// Calls for each file of a folder, not through links.
fn search(folder: &Path, depth: usize, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => search(&entry.path(), depth - 1, each),
            Ok(kind) if kind.is_file() => each(&entry.path()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_one_that_holds_the_id_of_a_process_of_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let own = [ProcessId::of(std::process::id()).unwrap()];
        fs::create_dir(folder.path().join("tmp")).unwrap();
        fs::write(folder.path().join("old.pid"), "1\n").unwrap();
        fs::write(folder.path().join("notes.txt"), own[0].pid.to_string()).unwrap();
        assert_eq!(pid_files(folder.path(), &own), Vec::<PathBuf>::new());
        let file = folder.path().join("tmp/server.pid");
        fs::write(&file, format!("{}\n", own[0].pid)).unwrap();
        assert_eq!(pid_files(folder.path(), &own), [file]);
    }

    #[test]
    fn a_process_descends_from_its_parents() {
        let own = ProcessId::of(std::process::id()).unwrap();
        assert!(descends(own, own));
        let (parent, _) = parent_and_state(own.pid).unwrap();
        assert!(descends(own, ProcessId::of(parent).unwrap()));
        assert!(!descends(ProcessId::of(parent).unwrap(), own));
    }
}
