//! Every file system read-only but for what a program may write (`mount_namespaces(7)`). It holds
//! where Landlock has no say too: for owners, modes, times and extended attributes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_bind_recursive, mount_remount};

/// Devices are no storage, and what lies beside them is everybody's.
const DEVICES: &str = "/dev";

/// Makes all mounts of this process read-only but for those at and below `writable`, each of
/// which becomes a mount of its own.
pub(super) fn seal<'a>(writable: impl Iterator<Item = &'a Path>) -> io::Result<()> {
    let mut kept = vec![PathBuf::from(DEVICES)];
    for path in writable {
        // A path that is not there cannot be written either.
        let Ok(path) = fs::canonicalize(path) else { continue };
        mount_bind_recursive(&path, &path)?;
        kept.push(path);
    }
    let is_kept = |point: &PathBuf| kept.iter().any(|kept| point.starts_with(kept));
    let mut sealed = Ok(());
    for (point, flags) in topmost(&fs::read("/proc/self/mountinfo")?) {
        if flags.contains(MountFlags::RDONLY) || is_kept(&point) {
            continue;
        }
        match mount_remount(&point, flags | MountFlags::BIND | MountFlags::RDONLY, "") {
            // Another mount lies over it, or the way to it is closed: nobody reaches it.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => {}
            Err(error) if sealed.is_ok() => {
                let error = io::Error::from(error);
                let told = format!("{}: {error}", point.display());
                sealed = Err(io::Error::new(error.kind(), told));
            }
            Err(_further) => {}
        }
    }
    sealed
}

/// The mounts that a path leads to: of several at one place the last.
fn topmost(mountinfo: &[u8]) -> BTreeMap<PathBuf, MountFlags> {
    let mounts = mountinfo.split(|byte| *byte == b'\n').filter_map(Mount::of);
    mounts.map(|mount| (mount.point, mount.flags)).collect()
}

/// A line of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    flags: MountFlags,
}

impl Mount {
    fn of(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ').skip(4);
        let (point, options) = (fields.next()?, fields.next()?);
        // A user namespace can take none of these away, and would lose those not named.
        let named = |option: &[u8]| match option {
            b"ro" => MountFlags::RDONLY,
            b"nosuid" => MountFlags::NOSUID,
            b"nodev" => MountFlags::NODEV,
            b"noexec" => MountFlags::NOEXEC,
            b"nosymfollow" => MountFlags::NOSYMFOLLOW,
            b"noatime" => MountFlags::NOATIME,
            b"nodiratime" => MountFlags::NODIRATIME,
            b"relatime" => MountFlags::RELATIME,
            _ => MountFlags::empty(),
        };
        let flags = options.split(|byte| *byte == b',').map(named).collect();
        Some(Self { point: unescaped(point), flags })
    }
}

/// Spaces and their like are three octal digits behind a backslash.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let octal = (*first == b'\\')
            .then(|| behind.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of one that is covered are not those of what covers it.
    #[test]
    fn of_mounts_at_one_place_the_last_counts() {
        let below = "1 0 0:1 / /proc/x rw - autofs x rw\n";
        let above = "2 1 0:2 / /proc/x ro,nosuid - binfmt_misc x rw\n3 0 0:1 / / rw - ext4 x rw";
        let found = topmost(format!("{below}{above}").as_bytes());
        let flags = MountFlags::RDONLY | MountFlags::NOSUID;
        let wanted = [("/".into(), MountFlags::empty()), ("/proc/x".into(), flags)];
        assert_eq!(found, BTreeMap::from(wanted));
    }

    #[test]
    fn a_mount_is_read_with_its_place_and_what_must_stay_as_it_is() {
        let of = |line: &str| Mount::of(line.as_bytes());
        let line = r"36 35 98:0 /m /mnt/a\040b\134 rw,nosuid,noatime master:1 - ext3 /dev/x rw,errors=continue";
        let flags = MountFlags::NOSUID | MountFlags::NOATIME;
        assert_eq!(of(line), Some(Mount { point: r"/mnt/a b\".into(), flags }));
        assert_eq!(of("1 0 0:1 / / ro - ext4 x ro").unwrap().flags, MountFlags::RDONLY);
        for broken in ["", "1", "1 0 0:1 / /"] {
            assert_eq!(of(broken), None, "{broken}");
        }
        for odd in [r"/a\", r"/a\1", r"/a\999", r"/a\777"] {
            assert_eq!(unescaped(odd.as_bytes()), PathBuf::from(odd));
        }
    }
}
