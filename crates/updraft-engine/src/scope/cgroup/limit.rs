//! One limit in one control group: how it is written, in either version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use updraft_system::{Limits, cores_in_words, memory_in_words};

/// A controller that holds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Controller {
    Memory,
    Cpu,
    Pids,
}

/// The period over which processor time is shared out, as systemd and Kubernetes have it.
const PERIOD_MICROS: u64 = 100_000;

impl Controller {
    pub(super) const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Pids];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }

    /// The limit that it is to hold, in words; `None`: none is declared.
    pub(super) fn wanted(self, limits: &Limits) -> Option<String> {
        match self {
            Self::Memory => {
                limits.memory_bytes.map(|bytes| format!("{} of memory", memory_in_words(bytes)))
            }
            Self::Cpu => limits.cpu_millicores.map(|cpu| format!("{} cores", cores_in_words(cpu))),
            Self::Pids => limits.pids.map(|pids| format!("{pids} processes")),
        }
    }

    /// Takes its limit out of those that are held.
    pub(super) fn forget(self, held: &mut Limits) {
        match self {
            Self::Memory => held.memory_bytes = None,
            Self::Cpu => held.cpu_millicores = None,
            Self::Pids => held.pids = None,
        }
    }

    /// Writes its limit into a group of version 2 or 1.
    pub(super) fn write(self, group: &Path, unified: bool, limits: &Limits) -> io::Result<()> {
        let write = |file: &str, text: &str| fs::write(group.join(file), text);
        match (self, unified) {
            (Self::Memory, true) => {
                let Some(bytes) = limits.memory_bytes else { return Ok(()) };
                write("memory.max", &bytes.to_string())?;
                // Who is out of memory is to end, not to crawl; and whole, not in part.
                write_where_known(group, "memory.swap.max", "0")?;
                write_where_known(group, "memory.oom.group", "1")
            }
            (Self::Memory, false) => {
                let Some(bytes) = limits.memory_bytes else { return Ok(()) };
                write("memory.limit_in_bytes", &bytes.to_string())?;
                // Memory and swap together; only where swap is accounted.
                write_where_known(group, "memory.memsw.limit_in_bytes", &bytes.to_string())
            }
            (Self::Cpu, unified) => {
                let Some(milli) = limits.cpu_millicores else { return Ok(()) };
                let quota = u64::from(milli) * PERIOD_MICROS / 1000;
                if unified {
                    return write("cpu.max", &format!("{quota} {PERIOD_MICROS}"));
                }
                write("cpu.cfs_period_us", &PERIOD_MICROS.to_string())?;
                write("cpu.cfs_quota_us", &quota.to_string())
            }
            (Self::Pids, _) => {
                let Some(pids) = limits.pids else { return Ok(()) };
                write("pids.max", &pids.to_string())
            }
        }
    }
}

fn write_where_known(group: &Path, file: &str, text: &str) -> io::Result<()> {
    let path = group.join(file);
    if path.exists() { fs::write(path, text) } else { Ok(()) }
}

/// A group with a limit of memory: tells whether the kernel has killed for its sake.
#[derive(Debug)]
pub(in crate::scope) struct MemoryGroup {
    group: PathBuf,
    kills: u64,
}

impl MemoryGroup {
    /// The group as it is now.
    pub(in crate::scope) fn of(group: &Path) -> Self {
        Self { group: group.to_owned(), kills: kills(group) }
    }

    /// Whether somebody in it was killed since, because its limit was reached.
    pub(in crate::scope) fn was_exceeded(&self) -> bool {
        self.kills < kills(&self.group)
    }
}

/// How often the kernel has killed in a group: `memory.events` of version 2,
/// `memory.oom_control` of version 1.
fn kills(group: &Path) -> u64 {
    let count = |file: &str| {
        let text = fs::read_to_string(group.join(file)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    };
    count("memory.events").or_else(|| count("memory.oom_control")).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            memory_bytes: Some(256 << 20),
            cpu_millicores: Some(1500),
            files: Some(64),
            pids: Some(7),
        }
    }

    #[test]
    fn each_version_has_its_own_files() {
        for (unified, expected) in [
            (true, [("memory.max", "268435456"), ("cpu.max", "150000 100000"), ("pids.max", "7")]),
            (
                false,
                [
                    ("memory.limit_in_bytes", "268435456"),
                    ("cpu.cfs_quota_us", "150000"),
                    ("pids.max", "7"),
                ],
            ),
        ] {
            let group = tempfile::tempdir().unwrap();
            for controller in Controller::ALL {
                controller.write(group.path(), unified, &limits()).unwrap();
            }
            for (file, text) in expected {
                assert_eq!(fs::read_to_string(group.path().join(file)).unwrap(), text, "{file}");
            }
            assert!(!group.path().join("memory.swap.max").exists(), "what is unknown is not made");
        }
    }

    #[test]
    fn a_kill_is_seen_in_either_version_and_only_a_new_one() {
        for (file, text) in [
            ("memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill N\noom_group_kill 0\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill N\n"),
        ] {
            let group = tempfile::tempdir().unwrap();
            let file = group.path().join(file);
            fs::write(&file, text.replace('N', "3")).unwrap();
            let before = MemoryGroup::of(group.path());
            assert!(!before.was_exceeded());
            fs::write(&file, text.replace('N', "4")).unwrap();
            assert!(before.was_exceeded());
        }
    }
}
