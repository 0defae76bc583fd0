//! Who listens at Unix sockets in the file system (`unix(7)`): whoever sees such a file reaches
//! its owner, whatever network either of them is in. A trial has a database of its own, and must
//! not find the one of this machine at `/run/postgresql`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// Where services put such sockets (Filesystem Hierarchy Standard 3.0, sections 3.15 and 5.13).
/// Those of another network, as of whoever started this container, stand in no table of ours.
const PLACES: [&str; 2] = ["/run", "/var/run"];
/// As deep as that is looked through.
const DEPTH: usize = 6;
/// So many files of it at most.
const FILES: usize = 20_000;
/// `__SO_ACCEPTCON` (`include/linux/net.h`) of a socket at which somebody listens.
const ACCEPTS: u32 = 1 << 16;

/// The files of all sockets of this machine at which somebody listens, without those `below`.
/// Who listens elsewhere than in these places, and was told a relative path or is in another
/// network, is not found.
pub(super) fn listeners(below: &Path) -> BTreeSet<PathBuf> {
    let known = fs::read_to_string("/proc/self/net/unix").map(|text| table(&text));
    let known = known.unwrap_or_default();
    let (mut found, mut left) = (Vec::new(), FILES);
    // The one is a link to the other on most machines.
    let places: BTreeSet<_> = PLACES.iter().filter_map(|it| fs::canonicalize(it).ok()).collect();
    for place in places {
        sockets(&place, &foreign_mounts(), DEPTH, &mut left, &mut found);
    }
    found.retain(|path| !known.contains_key(path) && answers(path));
    found.extend(known.into_iter().filter_map(|(path, accepts)| accepts.then_some(path)));
    found.into_iter().filter(|path| !path.starts_with(below) && is_socket(path)).collect()
}

/// The sockets with a path of the file system, by where it leads, and whether somebody listens at
/// them (`proc_pid_net(5)`: the columns are number, references, protocol, flags, type, state,
/// inode and path).
fn table(text: &str) -> BTreeMap<PathBuf, bool> {
    let mut known = BTreeMap::new();
    for line in text.lines().skip(1) {
        let Some(path) = line.find(" /").and_then(|at| line.get(at + 1..)) else { continue };
        let Ok(path) = fs::canonicalize(path) else { continue };
        let flags = line.split_whitespace().nth(3);
        let flags = flags.and_then(|flags| u32::from_str_radix(flags, 16).ok());
        let accepts = flags.is_some_and(|flags| flags & ACCEPTS != 0);
        // One that was left behind may stand at the same path.
        *known.entry(path).or_default() |= accepts;
    }
    known
}

/// The sockets below a folder. What cannot be read is none of a program's either.
fn sockets(
    folder: &Path,
    foreign: &[PathBuf],
    depth: usize,
    left: &mut usize,
    found: &mut Vec<PathBuf>,
) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Some(rest) = left.checked_sub(1) else { return };
        *left = rest;
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_socket() {
            found.push(path);
        } else if kind.is_dir() && 0 < depth && !foreign.contains(&path) {
            sockets(&path, foreign, depth - 1, left, found);
        }
    }
}

/// Mounts whose files somebody else serves, who may not answer (`proc_pid_mountinfo(5)`).
fn foreign_mounts() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let foreign = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let kind = kind.split(' ').next()?;
        let serves = |name| kind.starts_with(name);
        let point = place.split(' ').nth(4)?;
        ["fuse", "nfs", "autofs", "cifs", "9p"].into_iter().any(serves).then(|| point.into())
    };
    text.lines().filter_map(foreign).collect()
}

/// Whether somebody accepts connections there. What a program has left behind it does not.
fn answers(path: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let Ok(socket) = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None) else {
        return false;
    };
    let Ok(address) = SocketAddrUnix::new(path) else { return false };
    // Its line is full, where it says that the caller should come again.
    matches!(connect(&socket, &address), Ok(()) | Err(Errno::AGAIN))
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    #[test]
    fn who_listens_is_told_from_what_is_left_behind_and_from_who_takes_messages() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        let place = |name: &str| below.join(name);
        let _live = UnixListener::bind(place("live with a blank")).unwrap();
        drop(UnixListener::bind(place("left")).unwrap());
        let _log = UnixDatagram::bind(place("log")).unwrap();
        fs::write(place("file"), "").unwrap();

        let (mut found, mut left) = (Vec::new(), 100);
        sockets(folder.path(), &[], 2, &mut left, &mut found);
        found.sort();
        assert_eq!(found, ["left", "live with a blank", "log"].map(place));
        found.retain(|path| answers(path));
        assert_eq!(found, [place("live with a blank")]);

        let ours = listeners(Path::new("/nowhere"));
        assert!(ours.contains(&place("live with a blank")), "{ours:?}");
        assert!(!ours.contains(&place("left")) && !ours.contains(&place("log")), "{ours:?}");
        assert_eq!(listeners(folder.path()).iter().find(|it| it.starts_with(&below)), None);
    }

    /// A mask at each of several names of one file would be a mount upon a mount.
    #[test]
    fn a_socket_is_found_once_by_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap().join("real");
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, folder.path().join("link")).unwrap();
        let _live = UnixListener::bind(folder.path().join("link/live")).unwrap();
        let ours = listeners(Path::new("/nowhere"));
        let mut ours = ours.iter().filter(|path| path.starts_with(folder.path()));
        assert_eq!((ours.next(), ours.next()), (Some(&real.join("live")), None));
    }

    #[test]
    fn a_folder_is_looked_through_to_a_depth_and_a_number_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        let _live = UnixListener::bind(deep.join("live")).unwrap();
        for (foreign, depth, most, expected) in [
            (None, 3, 100, 1),
            (None, 2, 100, 0),
            (None, 3, 3, 0),
            (Some(folder.path().join("a/b")), 3, 100, 0),
        ] {
            let (mut found, mut left) = (Vec::new(), most);
            sockets(folder.path(), foreign.as_slice(), depth, &mut left, &mut found);
            assert_eq!(found.len(), expected, "{foreign:?} {depth} {most}");
        }
    }
}
