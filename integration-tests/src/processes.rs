//! Processes, ports and sockets as the kernel tells them: the judge of what is left.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// One process that is not yet reaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// The one that started it, or adopted it since.
    pub parent: u32,
    /// Its command line, with spaces between the words.
    pub command: String,
}

/// Every process of this machine that has to do with `folder`: by its command line, its
/// working directory, its environment or its program.
pub fn within(folder: &Path) -> Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc cannot be read")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if pid != std::process::id() && touches(&entry.path(), folder) {
            found.extend(read(pid));
        }
    }
    Ok(found)
}

fn touches(process: &Path, folder: &Path) -> bool {
    let needle = folder.as_os_str().as_bytes();
    let mentions = |file: &str| {
        fs::read(process.join(file))
            .is_ok_and(|text| text.windows(needle.len()).any(|window| window == needle))
    };
    let points = |link: &str| {
        fs::read_link(process.join(link)).is_ok_and(|target| target.starts_with(folder))
    };
    mentions("cmdline") || points("cwd") || points("exe") || mentions("environ")
}

/// What the kernel says of one process; `None` when it has ended.
pub fn read(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the fields after the last one are plain.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&words).replace('\0', " ").trim().to_owned();
    (!ended).then_some(Process { pid, parent, command })
}

/// `pid` and everything below it, as far as parents still stand between them.
pub fn tree(pid: u32) -> Result<Vec<Process>> {
    let everyone: Vec<Process> = fs::read_dir("/proc")
        .context("/proc cannot be read")?
        .flatten()
        .filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?))
        .collect();
    let mut members: BTreeSet<u32> = [pid].into();
    loop {
        let before = members.len();
        let children = everyone.iter().filter(|process| members.contains(&process.parent));
        let children: Vec<u32> = children.map(|process| process.pid).collect();
        members.extend(children);
        if members.len() == before {
            break;
        }
    }
    Ok(everyone.into_iter().filter(|process| members.contains(&process.pid)).collect())
}

/// The proportional share of memory of one process, in bytes: pages that are shared count
/// by the number of those who share them.
pub fn memory(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let share = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(share.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The processor time that one process has used, in ticks of the kernel's clock.
pub fn processor_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    // utime and stime are the fields 14 and 15 of proc_pid_stat(5); the state is field 3.
    let times = fields.split_whitespace().skip(14 - 3).take(2);
    times.map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// Whether somebody listens on this TCP port of this machine.
pub fn is_listening(port: u16) -> Result<bool> {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(table) = fs::read_to_string(table) else { continue };
        let listening = table.lines().skip(1).any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(1).is_some_and(|local| local.ends_with(&wanted))
                && fields.get(3) == Some(&LISTEN)
        });
        if listening {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The Unix sockets below `folder`: those that exist as files, and those that are bound.
pub fn sockets_within(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut sockets = BTreeSet::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_socket() => drop(sockets.insert(entry.path())),
                _ => {}
            }
        }
    }
    let table = fs::read_to_string("/proc/net/unix").context("/proc/net/unix cannot be read")?;
    let bound = table.lines().filter_map(|line| line.split_whitespace().nth(7));
    sockets.extend(bound.map(PathBuf::from).filter(|path| path.starts_with(folder)));
    Ok(sockets)
}

/// Sends a signal; a process that has ended already is none to complain about.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    sent(pid, kill_process(raw(pid)?, signal))
}

/// Sends a signal to the process group that `leader` leads, as a terminal does.
pub fn signal_group(leader: u32, signal: Signal) -> Result<()> {
    sent(leader, kill_process_group(raw(leader)?, signal))
}

fn raw(pid: u32) -> Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process id")
}

fn sent(pid: u32, outcome: rustix::io::Result<()>) -> Result<()> {
    match outcome {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{pid} cannot be signalled")),
    }
}
