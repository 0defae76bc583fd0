//! A view of the files of a program's own: its `/tmp`, and a state folder in which there is only
//! what is its business (`mount_namespaces(7)`, `user_namespaces(7)`).

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_bind_recursive, mount_change};
use rustix::process::{getgid, getuid};
use updraft_system::ConfinementStatus;

use super::super::guard::VERB;
use super::{FileRules, Preparation, TMP, any_below, read_only};

/// What is private once the state folder is hidden.
pub(super) struct Private {
    /// `/tmp`, or why not.
    pub(super) tmp: Result<(), String>,
    /// Everything but what it may write is read-only, or why not.
    pub(super) sealed: Result<(), String>,
}

/// Why there are no mounts of its own.
pub(super) enum Unprepared {
    /// It can do without.
    Lacking(String),
    /// It is in a user namespace that cannot be left and in which it is nobody.
    Nobody(io::Error),
}

/// The word by which this executable tries whether there can be mounts of its own.
pub(in crate::scope) const ATTEMPT: &str = "mounts";

impl Private {
    pub(super) fn tell(self, status: &mut ConfinementStatus) {
        status.read_only = self.sealed.is_ok();
        let tmp = self.tmp.map_err(|reason| format!("{TMP} is not its own: {reason}"));
        let sealed =
            self.sealed.map_err(|reason| format!("not every file system is read-only: {reason}"));
        status.lacking.extend([tmp, sealed].into_iter().filter_map(Result::err));
    }
}

/// Gives this process mounts of its own. `privileged`: it keeps capabilities, which a user
/// namespace would make worthless.
pub(super) fn prepare(
    plan: &Preparation,
    rules: &FileRules,
    privileged: bool,
) -> Result<Private, Unprepared> {
    let lacking = Unprepared::Lacking;
    let Some(folder) = &plan.folder else {
        return Err(lacking("it has no folder of its own".to_owned()));
    };
    if privileged && !getuid().is_root() {
        return Err(lacking("a user namespace would take its capabilities away".to_owned()));
    }
    let entered = enter_user_namespace();
    let entered = entered.map_err(|error| lacking(format!("no user namespace: {error}")))?;
    if let Some(user) = entered {
        user.map().map_err(Unprepared::Nobody)?;
    }
    unshare_mounts().map_err(|error| lacking(format!("no mount namespace: {error}")))?;
    if let Some(hidden) = &rules.hidden {
        hide(hidden, &folder.join("state"), rules)
            .map_err(|error| lacking(format!("{} cannot be hidden: {error}", hidden.display())))?;
    }
    let tmp = match in_the_way(plan, rules) {
        Some(path) => Err(format!("{} lies in it", path.display())),
        None => mount_bind(folder.join("tmp"), TMP).map_err(|error| error.to_string()),
    };
    let own = if tmp.is_ok() { PathBuf::from(TMP) } else { folder.join("tmp") };
    let writable = rules.writable.iter().chain(&rules.resources).chain([&own]);
    let sealed = read_only::seal(writable.map(PathBuf::as_path));
    Ok(Private { tmp, sealed: sealed.map_err(|error| error.to_string()) })
}

/// Whether this user can have mounts of its own. It is tried by another process, of the same
/// executable, since machines tell executables apart: whoever enters a user namespace that
/// cannot be set up is nobody from then on.
pub(in crate::scope) fn are_possible() -> bool {
    if getuid().is_root() {
        return true;
    }
    let mut command = Command::new("/proc/self/exe");
    command.args([VERB, ATTEMPT]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The inside of the attempt.
pub(in crate::scope) fn attempt() -> io::Result<()> {
    enter_user_namespace()?.map_or(Ok(()), |user| user.map())?;
    unshare_mounts()
}

/// A user namespace that was entered, in which nobody is known yet.
struct Unmapped {
    user: u32,
    group: u32,
}

/// Enters a user namespace, where this user needs one.
fn enter_user_namespace() -> io::Result<Option<Unmapped>> {
    if getuid().is_root() {
        return Ok(None);
    }
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    Ok(Some(Unmapped { user, group }))
}

impl Unmapped {
    /// Makes this user who it is outside.
    fn map(&self) -> io::Result<()> {
        let Self { user, group } = self;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
    }
}

fn unshare_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    // What is mounted here is not seen outside; what is mounted outside is seen here.
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    Ok(mount_change("/", flags)?)
}

/// Puts a folder in the place of `hidden` that holds what is shown of it and nothing else.
fn hide(hidden: &Path, skeleton: &Path, rules: &FileRules) -> io::Result<()> {
    fs::create_dir(skeleton)?;
    for path in rules.shown.iter().chain(&rules.resources) {
        let Ok(below) = path.strip_prefix(hidden) else { continue };
        let place = skeleton.join(below);
        if path.is_dir() {
            fs::create_dir_all(&place)?;
        } else if path.exists() {
            if let Some(above) = place.parent() {
                fs::create_dir_all(above)?;
            }
            fs::write(&place, "")?;
        } else {
            continue;
        }
        mount_bind_recursive(path, &place)?;
    }
    Ok(mount_bind_recursive(skeleton, hidden)?)
}

/// What the program needs and would lose with the `/tmp` of all.
fn in_the_way(plan: &Preparation, rules: &FileRules) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let programs: Vec<PathBuf> = env::split_paths(&path).collect();
    let home = env::var_os("HOME").map(PathBuf::from);
    let declared = rules.writable.iter().chain(&rules.resources).chain(&rules.shown);
    let needed = declared.chain(&rules.hidden).chain(&home).chain(&programs);
    let needed = needed.map(PathBuf::as_path).chain([plan.directory.as_path()]);
    any_below(Path::new(TMP), needed).map(Path::to_owned)
}
