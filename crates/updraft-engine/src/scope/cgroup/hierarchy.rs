//! Where the control groups of this process are: read from `/proc`, version by version and
//! controller by controller, because a machine may have both versions side by side.

use std::fs;
use std::path::{Path, PathBuf};

/// One mounted hierarchy (`proc_pid_mountinfo(5)`).
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// Which part of the hierarchy is mounted.
    root: PathBuf,
    point: PathBuf,
    unified: bool,
    /// The controllers of version 1, among other options.
    options: Vec<String>,
}

/// The hierarchies, and where this process is in each.
#[derive(Debug)]
pub(super) struct Hierarchies {
    mounts: Vec<Mount>,
    /// `/proc/self/cgroup`.
    own: String,
}

impl Hierarchies {
    pub(super) fn of_this_process() -> Self {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        Self::of(&read("/proc/self/mountinfo"), read("/proc/self/cgroup"))
    }

    fn of(mountinfo: &str, own: String) -> Self {
        Self { mounts: mountinfo.lines().filter_map(Mount::parse).collect(), own }
    }

    /// The group of this process in the hierarchy of version 2.
    pub(super) fn unified(&self) -> Option<PathBuf> {
        let own = self.own.lines().find_map(|line| line.strip_prefix("0::"))?;
        self.mounts.iter().filter(|mount| mount.unified).find_map(|mount| mount.place(own))
    }

    /// The group of this process in the hierarchy of a controller of version 1.
    pub(super) fn of_controller(&self, controller: &str) -> Option<PathBuf> {
        let own = self.own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers.split(',').any(|one| one == controller).then_some(path)
        })?;
        let has = |mount: &&Mount| !mount.unified && mount.options.iter().any(|o| o == controller);
        self.mounts.iter().filter(has).find_map(|mount| mount.place(own))
    }
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ');
        let (root, point) = (left.nth(3)?, left.next()?);
        let mut right = right.split(' ');
        let unified = match right.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let options = right.nth(1)?.split(',').map(str::to_owned).collect();
        Some(Self { root: root.into(), point: point.into(), unified, options })
    }

    /// Where a group is mounted. What is outside of the mounted part is nowhere.
    fn place(&self, group: &str) -> Option<PathBuf> {
        let below = Path::new(group).strip_prefix(&self.root).ok()?;
        Some(if below.as_os_str().is_empty() { self.point.clone() } else { self.point.join(below) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
28 1 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - tmpfs tmpfs rw,size=1024k
29 28 0:26 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw,nsdelegate
30 28 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
31 28 0:28 /docker/7 /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 28 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
";
    const OWN: &str = "9:name=systemd:/\n4:memory:/a/b\n1:cpu,cpuacct:/docker/7/x\n0::/\n";

    #[test]
    fn each_hierarchy_is_found_with_the_place_in_it() {
        let found = Hierarchies::of(HYBRID, OWN.to_owned());
        let place = |path: &str| Some(PathBuf::from(path));
        assert_eq!(found.unified(), place("/sys/fs/cgroup/unified"));
        assert_eq!(found.of_controller("memory"), place("/sys/fs/cgroup/memory/a/b"));
        // Only a part of the hierarchy is mounted, as in a container.
        assert_eq!(found.of_controller("cpu"), place("/sys/fs/cgroup/cpu,cpuacct/x"));
        for absent in ["pids", "systemd", "cgroup2", ""] {
            assert_eq!(found.of_controller(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_group_outside_of_what_is_mounted_is_nowhere() {
        let found = Hierarchies::of(HYBRID, "1:cpu,cpuacct:/other\n0::/../x\n".to_owned());
        assert_eq!(found.of_controller("cpu"), None);
        let unified = "25 1 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let found = Hierarchies::of(unified, "0::/user.slice/a.scope\n".to_owned());
        assert_eq!(found.unified(), Some("/sys/fs/cgroup/user.slice/a.scope".into()));
        assert_eq!(found.of_controller("memory"), None);
    }
}
