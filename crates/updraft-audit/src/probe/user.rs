//! `S.user`: the program is not root, and has no privilege that it does not need.

use std::fs;

use rustix::process::geteuid;

use super::{Bench, Dynamic, Looking, always};
use crate::catalogue::ProbeId;
use crate::seen::Seen;

/// It has no controls: what it says is read from the kernel and is never a failure.
pub(super) const USER: Dynamic = Dynamic {
    id: ProbeId::SUser,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[],
};

/// What a process may do (`proc_pid_status(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Privilege {
    name: String,
    user: u32,
    capabilities: u64,
    gains_none: bool,
}

async fn look(bench: Bench) -> Seen {
    let running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let read = |pid: u32| fs::read_to_string(format!("/proc/{pid}/status")).ok();
    let processes = running.program();
    let statuses = processes.iter().filter_map(|process| read(process.pid));
    let privileges: Vec<_> = statuses.filter_map(|text| privilege(&text)).collect();
    let mut seen = verdict(&privileges, geteuid().is_root());
    seen.timeline = running.end().await;
    seen
}

fn verdict(all: &[Privilege], by_root: bool) -> Seen {
    if all.is_empty() {
        return Seen::unknown("none of its processes could be looked at");
    }
    let count = match all.len() {
        1 => "its 1 process".to_owned(),
        count => format!("its {count} processes"),
    };
    let gains = match all.iter().all(|it| it.gains_none) {
        true => "none can gain more (no_new_privs)",
        false => "nothing keeps them from gaining more (no_new_privs is not set)",
    };
    let root: Vec<_> = all.iter().filter(|it| it.user == 0).collect();
    if let Some(first) = root.first() {
        let name = &first.name;
        return match by_root {
            true => Seen::info(format!(
                "of {count} {} as root (`{name}`), as this audit does, which proves nothing: run \
                 it as somebody else",
                runs(root.len())
            )),
            false => Seen::warn(format!(
                "of {count} {} as root (`{name}`), though it was not started by root",
                runs(root.len())
            )),
        };
    }
    if let Some(able) = all.iter().find(|it| it.capabilities != 0) {
        return Seen::warn(format!(
            "`{}` runs as user {} and has the capabilities {:#x}",
            able.name, able.user, able.capabilities
        ));
    }
    let user = all.first().map(|it| it.user).unwrap_or_default();
    Seen::pass(format!("{count}, as user {user}, has no capability; {gains}"))
}

fn runs(count: usize) -> String {
    if count == 1 { "1 runs".to_owned() } else { format!("{count} run") }
}

fn privilege(status: &str) -> Option<Privilege> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.strip_prefix(':')?.trim().to_owned())
    };
    // Real, effective, saved, of the file system.
    let effective = field("Uid")?.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Privilege {
        name: field("Name")?,
        user: effective,
        capabilities: u64::from_str_radix(&field("CapEff")?, 16).ok()?,
        gains_none: field("NoNewPrivs").as_deref() == Some("1"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn root_is_a_finding_unless_the_audit_is_root_itself() {
        let of = |user: u32, capabilities: u64| Privilege {
            name: "x".into(),
            user,
            capabilities,
            gains_none: false,
        };
        assert_eq!(verdict(&[], false).verdict, Verdict::Unknown);
        assert_eq!(verdict(&[of(1000, 0)], false).verdict, Verdict::Pass);
        assert_eq!(verdict(&[of(1000, 0)], true).verdict, Verdict::Pass);
        assert_eq!(verdict(&[of(1000, 1 << 10)], true).verdict, Verdict::Warn);
        assert_eq!(verdict(&[of(1000, 0), of(0, 0)], false).verdict, Verdict::Warn);
        assert_eq!(verdict(&[of(0, u64::MAX)], true).verdict, Verdict::Info);
    }

    #[test]
    fn the_kernel_s_own_words_are_understood() {
        let text = "Name:\tnode\nUid:\t1000\t1001\t1000\t1000\nCapEff:\t0000000000000400\nNoNewPrivs:\t1\n";
        let read = privilege(text).unwrap();
        assert_eq!((read.user, read.capabilities, read.gains_none), (1001, 0x400, true));
        let own = fs::read_to_string("/proc/self/status").unwrap();
        assert_eq!(privilege(&own).map(|it| it.user), Some(geteuid().as_raw()));
    }
}
