//! Which unit is meant, and where its file is.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use updraft_system::Name;

use crate::failure::Failure;

/// systemd takes 255 bytes with the suffix.
const NAME_BYTES_MAX: usize = 200;
/// Where an administrator's units are: systemd.unit(5).
const MACHINE_FOLDER: &str = "/etc/systemd/system";

/// Which unit is meant.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// The service manager of this user (the default)
    #[arg(long, conflicts_with = "system")]
    user: bool,
    /// The service manager of the machine
    #[arg(long)]
    pub(super) system: bool,
    /// The unit's name [default: updraft- and the system's name]
    #[arg(long, value_name = "NAME")]
    name: Option<UnitName>,
}

/// A name that a unit may have, without `.service`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnitName(String);

/// The name cannot be a unit's.
#[derive(Debug, thiserror::Error)]
#[error(
    "a unit's name has letters, digits and `:_.-` only, begins with none of `.-`, and has {NAME_BYTES_MAX} characters at most"
)]
pub(super) struct InvalidUnitName;

impl FromStr for UnitName {
    type Err = InvalidUnitName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_suffix(".service").unwrap_or(text);
        let may = |byte: u8| byte.is_ascii_alphanumeric() || b":_.-".contains(&byte);
        let sound = !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && !name.starts_with(['.', '-'])
            && name.bytes().all(may);
        sound.then(|| Self(name.to_owned())).ok_or(InvalidUnitName)
    }
}

impl Place {
    /// The unit's name with its suffix.
    pub(super) fn unit(&self, system: &Name) -> String {
        match &self.name {
            Some(UnitName(name)) => format!("{name}.service"),
            None => format!("updraft-{system}.service"),
        }
    }

    /// The unit's file.
    pub(super) fn file(&self, system: &Name) -> Result<PathBuf, Failure> {
        let folder = if self.system { Some(MACHINE_FOLDER.into()) } else { user_folder() };
        let folder = folder.ok_or_else(|| {
            Failure::environment("no place for a unit of this user: neither HOME nor XDG_CONFIG_HOME is an absolute path")
        })?;
        Ok(folder.join(self.unit(system)))
    }

    /// The words by which `systemctl` and `updraft service` mean this unit's manager.
    pub(super) fn whose(&self) -> &'static str {
        if self.system { "--system" } else { "--user" }
    }
}

fn user_folder() -> Option<PathBuf> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(config.join("systemd/user"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_a_name_that_systemd_takes() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for refused in ["", ".service", "a/b", "a b", "-a", ".a", "a@b", "a%i", "é", &long] {
            assert!(refused.parse::<UnitName>().is_err(), "{refused}");
        }
        for (taken, name) in
            [("shop", "shop"), ("shop.service", "shop"), ("a:b_c.d-1", "a:b_c.d-1")]
        {
            assert_eq!(taken.parse::<UnitName>().unwrap(), UnitName(name.to_owned()));
        }
    }
}
