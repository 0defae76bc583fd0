//! What a scope has used of the processors.
//!
//! A control group counts exactly; where there is none, the times of all members are added
//! up. Those of members that are gone are not lost, because whoever waits for a process
//! inherits its times (`proc_pid_stat(5)`, `cutime`), and for orphans that is the guardian.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;

use super::members::Members;
use super::procfs;

/// The processor time of a scope since it was started; `None`: it is gone.
pub(super) fn processor_time(members: &Members) -> Option<Duration> {
    let of_group = members.group.as_deref().and_then(of_group);
    of_group.or_else(|| members.guardian.and_then(of_family))
}

/// `cpu.stat` is there without the controller as well. Features are tried per file.
fn of_group(group: &Path) -> Option<Duration> {
    let text = fs::read_to_string(group.join("cpu.stat")).ok()?;
    let used = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(Duration::from_micros(used.trim().parse().ok()?))
}

fn of_family(guardian: u32) -> Option<Duration> {
    let mut ticks = procfs::times(guardian)?.of_children;
    for member in procfs::family(guardian) {
        // One that ends meanwhile is in the times of its parent at the next look.
        if let Some(times) = procfs::times(member) {
            ticks = ticks.saturating_add(times.own).saturating_add(times.of_children);
        }
    }
    Some(Duration::from_millis(ticks.saturating_mul(1000) / clock_ticks_per_second().max(1)))
}
