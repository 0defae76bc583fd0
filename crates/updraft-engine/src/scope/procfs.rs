//! Who runs: process identities and family trees, read from `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process for good: a pid alone is used again, a pid with its start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process id.
    pub pid: u32,
    /// Clock ticks from boot to its start (`proc_pid_stat(5)`, field 22).
    pub start_time: u64,
}

struct Stat {
    id: ProcessId,
    parent: u32,
    zombie: bool,
}

impl ProcessId {
    /// The process that has `pid` now.
    pub fn of(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| stat.id)
    }

    /// Whether it still runs; a zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.id == self && !stat.zombie)
    }

    /// Sends `signal` to this process, never to another that got its pid since.
    pub fn signal(self, signal: Signal) {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return };
        // The descriptor pins the pid, so the check after it cannot be overtaken.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        if Self::of(self.pid) == Some(self) {
            // It may end at any moment; then there is nobody left to tell.
            let _ = pidfd_send_signal(handle, signal);
        }
    }
}

/// All live descendants of `root`, nearest first.
pub(crate) fn descendants(root: u32) -> Vec<ProcessId> {
    let mut children: HashMap<u32, Vec<Stat>> = HashMap::new();
    for stat in all() {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut queue = vec![root];
    while let Some(parent) = queue.pop() {
        for stat in children.remove(&parent).unwrap_or_default() {
            queue.push(stat.id.pid);
            if !stat.zombie {
                found.push(stat.id);
            }
        }
    }
    found
}

/// All descendants of `root`, those too that are dead and not waited for.
pub(crate) fn family(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for stat in all() {
        children.entry(stat.parent).or_default().push(stat.id.pid);
    }
    let (mut found, mut queue) = (Vec::new(), vec![root]);
    while let Some(parent) = queue.pop() {
        let born = children.remove(&parent).unwrap_or_default();
        queue.extend(&born);
        found.extend(born);
    }
    found
}

/// Processor time of one process, in clock ticks.
pub(crate) struct Times {
    pub(crate) own: u64,
    /// Of children that it has waited for, and of theirs.
    pub(crate) of_children: u64,
}

/// The processor time of a process.
pub(crate) fn times(pid: u32) -> Option<Times> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
    // Fields 14 to 17 of the file; these begin with the third.
    let sum = |first: usize| -> Option<u64> {
        let both = fields.get(first..first + 2)?.iter().map(|field| field.parse::<u64>());
        both.sum::<Result<u64, _>>().ok()
    };
    Some(Times { own: sum(11)?, of_children: sum(13)? })
}

/// All live processes whose environment has the variable `name` with a value
/// that `matches`. Processes of other users are not seen.
pub(crate) fn with_variable(name: &str, matches: impl Fn(&[u8]) -> bool) -> Vec<ProcessId> {
    let prefix = format!("{name}=");
    let carries = |pid: u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .filter_map(|variable| variable.strip_prefix(prefix.as_bytes()))
            .any(&matches)
    };
    all().filter(|stat| !stat.zombie && carries(stat.id.pid)).map(|stat| stat.id).collect()
}

/// Kills what `find` finds until it finds nothing. Stopping everyone first keeps
/// a program that forks faster than it is killed from getting away.
pub(crate) fn kill_all(find: impl Fn() -> Vec<ProcessId>, mut pause: impl FnMut()) {
    let mut stopped = HashSet::new();
    loop {
        let fresh: Vec<_> = find().into_iter().filter(|id| !stopped.contains(id)).collect();
        if fresh.is_empty() {
            break;
        }
        for id in fresh {
            id.signal(Signal::STOP);
            stopped.insert(id);
        }
    }
    loop {
        let alive = find();
        if alive.is_empty() {
            return;
        }
        for id in alive {
            id.signal(Signal::KILL);
        }
        pause();
    }
}

/// How often the kernel has killed for want of memory since boot.
pub(crate) fn oom_kills() -> u64 {
    let counters = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    counters
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

fn all() -> impl Iterator<Item = Stat> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(stat)
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name stands in parentheses and may hold anything, `)` too.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let start_time = fields.get(19)?.parse().ok()?;
    Some(Stat {
        id: ProcessId { pid, start_time },
        parent: fields.get(1)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}
