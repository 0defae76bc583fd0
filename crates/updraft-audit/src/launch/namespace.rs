//! Namespaces and mounts of a program (`namespaces(7)`, `user_namespaces(7)`,
//! `mount_namespaces(7)`), as root and as anybody.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::StatVfsMountFlags;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount,
};
use rustix::process::{getgid, getuid};
use rustix::thread::{
    CapabilitySet, capabilities, clear_ambient_capability_set, configure_capability_in_ambient_set,
    set_capabilities,
};

use super::{Joined, Overlay, ReadOnly, Spec};
use crate::verdict::Shape;

/// How often a socket that comes and goes is masked before that is an error.
const MASK_ATTEMPTS: usize = 100;

/// Makes the namespaces and mounts that a spec asks for.
pub(super) fn prepare(spec: &Spec) -> io::Result<()> {
    let flags = flags(spec);
    if flags.is_empty() {
        return Ok(());
    }
    let root = getuid().is_root();
    match &spec.network {
        Some(network) => join(network, root)?,
        None if !root => own_user()?,
        None => {}
    }
    unshare(flags)?;
    // Nothing that is mounted here is seen outside.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    if let Some(overlay) = &spec.overlay {
        copy_at_its_place(overlay, root)?;
    }
    if let Some(network) = &spec.network {
        keep_inside(network, &spec.status)?;
    }
    for path in &spec.masked {
        mask(path, &spec.status)?;
    }
    for (from, to) in &spec.shown {
        mount_bind(from, to)?;
    }
    if let Some(read_only) = &spec.read_only {
        seal(read_only, &spec.folder)?;
    }
    if let Some(name) = &spec.hostname {
        rustix::system::sethostname(name.as_bytes())?;
    }
    if spec.shape == Shape::Pid1 && !root {
        keep_mounting()?;
    }
    Ok(())
}

/// Goes into a network, and as anybody into the user namespace that it belongs to.
fn join(network: &Joined, root: bool) -> io::Result<()> {
    let open = |name: &str| fs::File::open(network.namespaces.join(name));
    let (user, net) = (open("user")?, open("net")?);
    if !root {
        setns(user, CloneFlags::CLONE_NEWUSER)?;
    }
    Ok(setns(net, CloneFlags::CLONE_NEWNET)?)
}

/// Lets names be asked for inside of the network and nowhere else: those who look them up for
/// others live outside, and are asked by Unix sockets (`nss-resolve(8)`, `nscd(8)`).
fn keep_inside(network: &Joined, status: &Path) -> io::Result<()> {
    let resolver = Path::new("/etc/resolv.conf");
    // Without such a file the server on loopback is asked (`resolv.conf(5)`).
    if resolver.exists() {
        mount_bind(&network.resolver, resolver)?;
    }
    network.outside.iter().try_for_each(|socket| mask_socket(socket, status))
}

/// Masks a socket, if there is one. Its owner may take it away, and open it again, meanwhile.
fn mask_socket(socket: &Path, status: &Path) -> io::Result<()> {
    // One that is gone, or in a folder that is closed to the program, leads nowhere.
    let is_there = || fs::symlink_metadata(socket).is_ok_and(|file| file.file_type().is_socket());
    let mut left = MASK_ATTEMPTS;
    while is_there() {
        match mask(socket, status) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && 0 < left => left -= 1,
            masked => return masked,
        }
    }
    Ok(())
}

fn flags(spec: &Spec) -> CloneFlags {
    let mut flags = CloneFlags::empty();
    let mounts = spec.overlay.is_some() || spec.read_only.is_some() || !spec.masked.is_empty();
    let mounts = mounts || !spec.shown.is_empty();
    flags.set(CloneFlags::CLONE_NEWNS, mounts);
    if spec.shape == Shape::Pid1 {
        flags |= CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    }
    if spec.network.is_some() {
        flags |= CloneFlags::CLONE_NEWNS;
    }
    if spec.hostname.is_some() {
        flags |= CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNS;
    }
    flags
}

/// A user namespace in which this user is who it is outside, with every capability until the
/// program begins.
pub(super) fn own_user() -> io::Result<()> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// Lets the process that becomes the first of the namespace mount its `/proc`: a program that
/// is run loses capabilities that are not ambient (`capabilities(7)`).
fn keep_mounting() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.inheritable |= CapabilitySet::SYS_ADMIN;
    set_capabilities(None, sets)?;
    Ok(configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?)
}

/// Takes away again what [`keep_mounting`] gave.
pub(super) fn drop_ambient() -> io::Result<()> {
    Ok(clear_ambient_capability_set()?)
}

/// The `/proc` of this process namespace.
pub(super) fn mount_proc() -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("proc", "/proc", "proc", flags, None)?)
}

fn copy_at_its_place(overlay: &Overlay, root: bool) -> io::Result<()> {
    let Overlay { lower, upper, work } = overlay;
    let mut options = b"lowerdir=".to_vec();
    options.extend(escaped(lower));
    options.extend(b",upperdir=");
    options.extend(escaped(upper));
    options.extend(b",workdir=");
    options.extend(escaped(work));
    if !root {
        options.extend(b",userxattr");
    }
    let options = CString::new(options)?;
    mount("overlay", lower, "overlay", MountFlags::empty(), Some(options.as_c_str()))?;
    // Whoever was in the folder is still in what lies below it.
    std::env::set_current_dir(lower)
}

/// Colons, commas and backslashes mean something in mount options.
fn escaped(path: &Path) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b':' | b',' | b'\\') {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

/// Puts something empty over a file or folder. `beside` is a file of the audit's own.
fn mask(path: &Path, beside: &Path) -> io::Result<()> {
    let empty = beside.with_extension("empty");
    if path.is_dir() {
        let empty = empty.with_extension("folder");
        fs::create_dir_all(&empty)?;
        mount_bind(&empty, path)?;
    } else {
        fs::write(&empty, "")?;
        mount_bind(&empty, path)?;
    }
    Ok(())
}

/// Makes everything read-only but what is to stay writable, and but devices.
fn seal(read_only: &ReadOnly, folder: &Path) -> io::Result<()> {
    // A mount of its own stays as it is when the one around it is sealed.
    for path in &read_only.writable {
        mount_bind_recursive(path, path)?;
    }
    // A plain copy of the folder is no mount, and lies where the trial writes.
    if !mount_points()?.iter().any(|point| point == folder) {
        mount_bind_recursive(folder, folder)?;
    }
    let stays = |point: &Path| {
        let writable = read_only.writable.iter().any(|path| point.starts_with(path));
        (writable && point != folder)
            || ["/proc", "/sys", "/dev"].iter().any(|kernel| point.starts_with(kernel))
    };
    let points = mount_points()?;
    for point in points.iter().filter(|point| !stays(point)) {
        let flags = standing_flags(point)? | MountFlags::BIND | MountFlags::RDONLY;
        mount_remount(point, flags, "")?;
    }
    Ok(())
}

/// Where something is mounted (`proc_pid_mountinfo(5)`, field 5).
fn mount_points() -> io::Result<Vec<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let point = |line: &str| line.split(' ').nth(4).map(|point| PathBuf::from(unescaped(point)));
    Ok(text.lines().filter_map(point).collect())
}

/// Blanks, tabs, line ends and backslashes stand as three octal digits.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// The flags a mount has: in a user namespace none of them may be taken away
/// (`mount_namespaces(7)`).
fn standing_flags(point: &Path) -> io::Result<MountFlags> {
    let standing = rustix::fs::statvfs(point)?.f_flag;
    let pairs = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let held = pairs.iter().filter(|(has, _)| standing.contains(*has));
    Ok(held.fold(MountFlags::empty(), |flags, (_, flag)| flags | *flag))
}
