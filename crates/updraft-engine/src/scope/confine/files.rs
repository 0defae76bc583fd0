//! Where a program may write, held by Landlock (`landlock(7)`).

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    path_beneath_rules,
};
use updraft_system::ConfinementStatus;

use super::FileRules;

/// The version in which every way to change a file is known; what a kernel lacks of it is told.
/// Later ones restrict other things than writing.
const WRITING: ABI = ABI::V3;

/// What is no storage, or everybody's: without these, ordinary programs do not work.
const DEVICES: [&str; 10] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
    "/dev/mqueue",
];

/// Restricts where this process and its descendants may write.
pub(super) fn restrict(
    rules: &FileRules,
    temporary: Option<&Path>,
    status: &mut ConfinementStatus,
) -> io::Result<()> {
    let declared = rules.writable.iter().chain(&rules.resources).map(PathBuf::as_path);
    let paths = declared.chain(temporary).chain(DEVICES.map(Path::new));
    let enforced = enforce(paths).map_err(io::Error::other)?;
    match enforced {
        RulesetStatus::FullyEnforced => {}
        RulesetStatus::PartiallyEnforced => {
            let what = "where it may write holds only in part";
            status.lacking.push(format!("{what}: this kernel's Landlock is older than 6.2"));
        }
        RulesetStatus::NotEnforced => {
            let what = "where it may write does not hold";
            status.lacking.push(format!("{what}: this kernel has no Landlock"));
            return Ok(());
        }
    }
    status.writable = Some(rules.writable.iter().chain(&rules.resources).cloned().collect());
    Ok(())
}

fn enforce<'a>(paths: impl Iterator<Item = &'a Path>) -> Result<RulesetStatus, RulesetError> {
    let writing = AccessFs::from_write(WRITING);
    let restricted = Ruleset::default()
        .handle_access(writing)?
        .create()?
        // What is not there cannot be written either.
        .add_rules(path_beneath_rules(paths, writing))?
        .restrict_self()?;
    Ok(restricted.ruleset)
}
