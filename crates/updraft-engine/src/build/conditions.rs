//! What a build finds around it, and how a second one finds it otherwise: what comes out is to
//! depend on neither.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Network;

/// What a build finds around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// What it may use of the network.
    pub network: Network,
    /// What is not as usual; `None`: all is.
    pub variation: Option<Variation>,
    /// Whether it may neither use nor leave anything in a target folder that the caller's
    /// variables name for all builds.
    pub apart: bool,
}

/// Surroundings that differ from the usual ones, as far as this machine can make them differ.
/// The place of the sources is the caller's matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variation {
    zone: &'static str,
    host: bool,
    user: Option<User>,
    /// A user needs a user namespace for a host name of its own.
    map_root: bool,
}

/// A user of this machine who is not the one who builds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

/// The name of the machine in a second build.
const HOST: &str = "elsewhere";
/// A file mask that gives nothing to others; usual is 022.
const UMASK: &str = "077";
/// A time zone with a day that begins long before the usual one, and its name by rules of
/// POSIX where the machine has no zones.
const ZONES: [&str; 2] = ["Pacific/Kiritimati", "LINT-14"];
/// Where zones are, and users.
const ZONEINFO: &str = "/usr/share/zoneinfo";
const USERS: &str = "/etc/passwd";
/// The user of overflow: to a user namespace all others look like this one.
const NOBODY: u32 = 65534;

impl Conditions {
    /// A command as it is to be run where it may use the network.
    pub(super) fn around(&self, argv: Vec<String>) -> Vec<String> {
        match &self.variation {
            None => argv,
            Some(variation) => variation.around(argv),
        }
    }

    /// A command as it is to be run after the fetch step. The network is cut first: who is
    /// another user then could not do it.
    pub(super) fn after_fetch(&self, argv: Vec<String>) -> Vec<String> {
        self.network.without(self.around(argv))
    }

    /// The variables that are not as the caller has them.
    pub(super) fn overlay(&self, environment: &mut BTreeMap<String, String>) {
        if self.apart {
            environment.remove("CARGO_TARGET_DIR");
            environment.remove("CARGO_BUILD_TARGET_DIR");
        }
        let Some(variation) = &self.variation else { return };
        let mut set = |name: &str, value: &str| environment.insert(name.to_owned(), value.into());
        set("TZ", variation.zone);
        if let Some(user) = &variation.user {
            set("USER", &user.name);
            set("LOGNAME", &user.name);
        }
    }
}

impl Variation {
    /// As much as this machine grants within `network`; it is tried out.
    #[must_use]
    pub fn found(network: &Network) -> Self {
        let zone = ZONES[usize::from(!Path::new(ZONEINFO).join(ZONES[0]).is_file())];
        let is_root = rustix::process::geteuid().is_root();
        let host_alone = Self { zone, host: true, user: None, map_root: false };
        let nothing = Self { host: false, ..host_alone.clone() };
        let mut ways = Vec::new();
        if let Some(user) = another_user() {
            let user = Some(user);
            ways.push(Self { user: user.clone(), map_root: !is_root, ..host_alone.clone() });
            ways.push(Self { user, ..nothing.clone() });
        }
        if is_root {
            // In a user namespace of its own it would be another user as well.
            ways.push(host_alone);
        }
        ways.into_iter().find(|way| way.works(network)).unwrap_or(nothing)
    }

    /// What differs, in words.
    #[must_use]
    pub fn named(&self) -> Vec<&'static str> {
        let mut named = vec!["time", "file times", "time zone", "file mask"];
        named.extend(self.host.then_some("host name"));
        named.extend(self.user.is_some().then_some("user"));
        named
    }

    fn around(&self, argv: Vec<String>) -> Vec<String> {
        let mut script = format!("umask {UMASK} && ");
        if self.host {
            script.push_str(&format!("hostname {HOST} && "));
        }
        script.push_str("exec ");
        if let Some(User { uid, gid, .. }) = &self.user {
            script.push_str(&format!("unshare --map-user={uid} --map-group={gid} -- "));
        }
        script.push_str("\"$@\"");
        let mut words: Vec<&str> = Vec::new();
        if self.host {
            words.push("unshare");
            words.extend(self.map_root.then_some("--map-root-user"));
            words.extend(["--uts", "--"]);
        }
        words.extend(["/bin/sh", "-c", &script, "sh"]);
        words.into_iter().map(str::to_owned).chain(argv).collect()
    }

    fn works(&self, network: &Network) -> bool {
        let mut wanted = "true".to_owned();
        if self.host {
            wanted.push_str(&format!(" && test \"$(hostname)\" = {HOST}"));
        }
        if let Some(User { uid, .. }) = &self.user {
            wanted.push_str(&format!(" && test \"$(id -u)\" = {uid}"));
        }
        let argv = ["/bin/sh", "-c", &wanted].map(str::to_owned).into();
        let argv = network.without(self.around(argv));
        let Some((program, words)) = argv.split_first() else { return false };
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

/// One whom the machine knows by name: programs look up who they are.
fn another_user() -> Option<User> {
    let own = rustix::process::geteuid().as_raw();
    let user = |line: &str| {
        let mut words = line.split(':');
        let (name, _password) = (words.next()?, words.next()?);
        let (uid, gid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(User { name: name.to_owned(), uid, gid })
    };
    let users = fs::read_to_string(USERS).ok()?;
    let mut others = users.lines().filter_map(user);
    others.find(|user| user.uid != 0 && user.uid != own && user.uid != NOBODY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_by(conditions: &Conditions, script: &str) -> String {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).into();
        let argv = conditions.after_fetch(argv);
        let mut environment = std::env::vars().collect();
        conditions.overlay(&mut environment);
        let mut command = Command::new(&argv[0]);
        let output = command.args(&argv[1..]).env_clear().envs(environment).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn what_is_named_differs_and_nothing_else_is_named() {
        let network = Network::cut().unwrap_or_default();
        let usual = Conditions { network: network.clone(), ..Conditions::default() };
        let variation = Variation::found(&network);
        let other = Conditions { network, variation: Some(variation.clone()), apart: true };
        for (word, script) in [
            ("file mask", "umask"),
            ("time zone", "date +%z"),
            ("host name", "hostname"),
            ("user", "id -u && id -un && echo $USER"),
        ] {
            let (one, two) = (said_by(&usual, script), said_by(&other, script));
            assert_eq!(one != two, variation.named().contains(&word), "{word}: {one} and {two}");
        }
        // Where a user is looked up there is one.
        assert_eq!(said_by(&other, "id -un > /dev/null; echo $?"), "0");
    }

    #[test]
    fn words_of_a_command_come_through_as_they_are() {
        let conditions = Conditions {
            variation: Some(Variation::found(&Network::Open)),
            ..Conditions::default()
        };
        let mut argv = conditions.around(vec!["printf".to_owned()]);
        argv.extend(["%s|", "a b", "$HOME", "--x", ""].map(str::to_owned));
        let output = Command::new(&argv[0]).args(&argv[1..]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "a b|$HOME|--x||");
    }
}
