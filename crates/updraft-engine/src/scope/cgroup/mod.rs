//! Control groups where this user may make them: of version 2 they kill a whole scope in one
//! step, and of either version they hold its limits. Features are tried per file, never per
//! version, because a hybrid mount has `cgroup.kill` in one hierarchy and its controllers in
//! others.

mod hierarchy;
mod limit;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use updraft_system::Limits;

use hierarchy::Hierarchies;
use limit::Controller;
pub(super) use limit::MemoryGroup;

/// The group of version 2 where a supervisor goes that is alone in the group given to it: limits
/// can be set below a group only while nobody is in it (`Documentation/admin-guide/cgroup-v2.rst`,
/// "No Internal Process Constraint").
const SUPERVISOR: &str = "updraft-supervisor";

/// The groups of one run; each scope has groups below them.
#[derive(Debug)]
pub(crate) struct RunGroups {
    /// Of version 2, with `cgroup.kill`.
    kill: Option<PathBuf>,
    /// Where each limit can be held.
    places: BTreeMap<Controller, Place>,
}

/// Where one limit is held for the scopes of a run.
#[derive(Debug)]
struct Place {
    run: PathBuf,
    unified: bool,
}

/// The groups of one scope.
#[derive(Debug, Default)]
pub(super) struct ScopeGroups {
    /// The one that kills it in one step.
    pub(super) kill: Option<PathBuf>,
    /// Those that its program has to join.
    pub(super) join: Vec<PathBuf>,
    /// The one with its limit of memory.
    pub(super) memory: Option<PathBuf>,
    /// The limits that hold once it has joined.
    pub(super) held: Limits,
    /// Those that do not, and why.
    pub(super) lacking: Vec<String>,
}

impl RunGroups {
    /// Makes the groups of a run, as far as this machine and user can have them.
    pub(crate) fn create(run: &str) -> Self {
        let hierarchies = Hierarchies::of_this_process();
        let name = format!("updraft-{run}");
        let unified = hierarchies.unified().and_then(|own| unified(&own, &name));
        let mut places = BTreeMap::new();
        for controller in Controller::ALL {
            let place = match &unified {
                Some((group, controllers)) if controllers.contains(&controller) => {
                    Some(Place { run: group.clone(), unified: true })
                }
                // Made when a scope has such a limit.
                _ => hierarchies
                    .of_controller(controller.name())
                    .map(|own| Place { run: own.join(&name), unified: false }),
            };
            places.extend(place.map(|place| (controller, place)));
        }
        Self { kill: unified.map(|(group, _)| group), places }
    }

    /// No groups at all, as on a machine that has none.
    pub(crate) fn none() -> Self {
        Self { kill: None, places: BTreeMap::new() }
    }

    /// The folder of the group that kills.
    pub(crate) fn kill(&self) -> Option<&Path> {
        self.kill.as_deref()
    }

    /// Every folder that may have been made for the run.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let places = self.places.values().map(|place| place.run.clone());
        self.kill.iter().cloned().chain(places).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Makes the groups of one scope, and sets its limits there.
    pub(super) fn scope(&self, label: &str, limits: &Limits) -> ScopeGroups {
        let mut groups = ScopeGroups { held: *limits, ..ScopeGroups::default() };
        groups.kill = self.kill.as_ref().and_then(|run| made(&run.join(label)).ok());
        groups.join.extend(groups.kill.clone());
        for controller in Controller::ALL {
            let Some(limit) = controller.wanted(limits) else { continue };
            let held = match self.places.get(&controller) {
                Some(place) => place.hold(label, controller, limits),
                None => Err("this machine or user has no control group for it".to_owned()),
            };
            match held {
                Ok(group) => {
                    if controller == Controller::Memory {
                        groups.memory = Some(group.clone());
                    }
                    if !groups.join.contains(&group) {
                        groups.join.push(group);
                    }
                }
                Err(reason) => {
                    controller.forget(&mut groups.held);
                    groups.lacking.push(format!("its limit of {limit} does not hold: {reason}"));
                }
            }
        }
        groups
    }
}

impl Place {
    fn hold(
        &self,
        label: &str,
        controller: Controller,
        limits: &Limits,
    ) -> Result<PathBuf, String> {
        let group = self.run.join(label);
        let held = made(&self.run).and_then(|_| made(&group));
        let held = held.and_then(|_| controller.write(&group, self.unified, limits));
        held.map(|()| group.clone()).map_err(|error| format!("{}: {error}", group.display()))
    }
}

/// Makes the group of a run in version 2, and finds which limits can be held below it.
fn unified(own: &Path, name: &str) -> Option<(PathBuf, BTreeSet<Controller>)> {
    if is_ours(own) && is_alone_in(own) {
        drop(made(&own.join(SUPERVISOR)).and_then(|group| join(&group)));
    }
    let here = unified_in(own, name);
    if here.as_ref().is_some_and(|(_, controllers)| controllers.len() == Controller::ALL.len()) {
        return here;
    }
    // As in a user's session, whose slice has the controllers and belongs to the user.
    let above = own.parent().filter(|above| is_group(above) && is_ours(above));
    let Some(above) = above.and_then(|above| unified_in(above, name)) else { return here };
    match here {
        Some((group, few)) if few.len() < above.1.len() => {
            remove(&group);
            Some(above)
        }
        Some(here) => {
            remove(&above.0);
            Some(here)
        }
        None => Some(above),
    }
}

fn unified_in(above: &Path, name: &str) -> Option<(PathBuf, BTreeSet<Controller>)> {
    let group = above.join(name);
    enable(above);
    fs::create_dir(&group).ok()?;
    // Linux before 5.14 has no `cgroup.kill`; then the family tree must do.
    if !group.join("cgroup.kill").exists() {
        remove(&group);
        return None;
    }
    let controllers = enable(&group);
    Some((group, controllers))
}

/// Gives controllers to the groups below; says which these have.
fn enable(group: &Path) -> BTreeSet<Controller> {
    let has = |controller: &Controller| {
        let file = group.join("cgroup.subtree_control");
        // Refused where it is not there, not ours, or somebody is in the group.
        let written = fs::File::options().write(true).open(&file);
        // In one write, as the kernel reads it.
        let order = format!("+{}", controller.name());
        drop(written.and_then(|mut file| file.write_all(order.as_bytes())));
        let given = fs::read_to_string(&file).unwrap_or_default();
        given.split_ascii_whitespace().any(|given| given == controller.name())
    };
    Controller::ALL.into_iter().filter(has).collect()
}

/// Whether a group of version 2 was given to this user or service to be divided.
fn is_ours(group: &Path) -> bool {
    let Ok(folder) = fs::metadata(group) else { return false };
    let user = rustix::process::getuid();
    if !user.is_root() {
        return folder.uid() == user.as_raw();
    }
    // How systemd marks what it has delegated (`systemd.resource-control(5)`); the root of what
    // a container sees has nothing above it that could mind.
    let marked = ["user.delegate", "trusted.delegate"].into_iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(group, name, &mut value).is_ok_and(|length| value[..length] == *b"1")
    });
    marked || !group.parent().is_some_and(is_group)
}

fn is_group(folder: &Path) -> bool {
    folder.join("cgroup.procs").exists()
}

fn is_alone_in(group: &Path) -> bool {
    let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    members.trim() == std::process::id().to_string()
}

/// A folder that is there, made now or before.
fn made(group: &Path) -> io::Result<PathBuf> {
    match fs::create_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(group.to_owned()),
    }
}

/// Moves the calling process into the group.
pub(crate) fn join(group: &Path) -> io::Result<()> {
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
