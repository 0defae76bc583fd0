//! Control groups, version 2, where this user may make them: they kill a whole
//! scope in one step. Features are tried per file, never per version, because a
//! hybrid mount has `cgroup.kill` without any controller.

use std::fs;
use std::path::{Path, PathBuf};

/// The group of one run; each scope has a group below it.
#[derive(Debug)]
pub(crate) struct RunGroup(PathBuf);

impl RunGroup {
    /// Makes the group, or finds that this machine or user cannot have one.
    pub(crate) fn create(run: &str) -> Option<Self> {
        let mount = mount_point()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let path = mount.join(own).join(format!("updraft-{run}"));
        fs::create_dir(&path).ok()?;
        let group = Self(path);
        // Linux before 5.14 has no `cgroup.kill`; then the family tree must do.
        if group.0.join("cgroup.kill").exists() {
            Some(group)
        } else {
            drop(fs::remove_dir(&group.0));
            None
        }
    }

    /// The folder of the group.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the group of one scope.
    pub(crate) fn scope(&self, label: &str) -> Option<PathBuf> {
        let path = self.0.join(label);
        fs::create_dir(&path).ok().map(|()| path)
    }
}

/// Moves the calling process into the group.
pub(crate) fn join(group: &Path) -> std::io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

/// Kills everything in the group and below it.
pub(crate) fn kill(group: &Path) {
    drop(fs::write(group.join("cgroup.kill"), "1"));
}

/// Removes the group and those below it. A group that is still populated stays.
pub(crate) fn remove(group: &Path) {
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.path().is_dir()) {
        remove(&entry.path());
    }
    drop(fs::remove_dir(group));
}

fn mount_point() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let unified = right.split(' ').next() == Some("cgroup2");
        unified.then(|| left.split(' ').nth(4).map(PathBuf::from)).flatten()
    })
}
