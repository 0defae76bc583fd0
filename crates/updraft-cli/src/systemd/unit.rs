//! The unit of a system that stays up: what systemd.unit(5), systemd.service(5) and
//! systemd.exec(5) are told about `updraft up --resume`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_system::{Name, System};

use super::quote::{Unquotable, program, specifiers, word};

/// How long the servers of resources may take to end, one beside the other.
const SERVERS_WITHIN: Duration = Duration::from_secs(30);
/// What a stop may take beyond the times of the manifest: the drain of the gateway, the log.
const STOP_SLACK: Duration = Duration::from_secs(30);
/// A supervisor that shows no sign of life for so long is started again.
const WATCHDOG: Duration = Duration::from_secs(60);
/// The first systemd whose restarts may wait longer each time (`RestartSteps=`).
const RESTART_STEPS_SINCE: u32 = 254;

/// Whose service manager runs the unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The one of this user.
    User,
    /// The one of the machine; the system runs as this user.
    Machine {
        /// The user's name.
        user: String,
    },
}

/// What a unit is made of.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) system: Name,
    /// The folder of the manifest.
    pub(crate) directory: PathBuf,
    /// The command `updraft`.
    pub(crate) program: PathBuf,
    pub(crate) owner: Owner,
    /// `PATH` of the programs.
    pub(crate) path: Option<String>,
    /// Variables that name folders and files: of state, of keys.
    pub(crate) places: Vec<(&'static str, PathBuf)>,
    /// The folder of the system's state.
    pub(crate) state: PathBuf,
    /// From SIGTERM to SIGKILL.
    pub(crate) stop: Duration,
    /// The version of systemd, where it is known.
    pub(crate) systemd: Option<u32>,
}

/// How long a system may take to end: its services end one after another.
pub(crate) fn stop_within(system: &System) -> Duration {
    let longest = |service: &updraft_system::Service| {
        service.processes.values().map(|process| process.stop).max().unwrap_or_default()
    };
    let services: Duration = system.services.values().map(longest).sum();
    services + SERVERS_WITHIN + STOP_SLACK
}

impl Unit {
    /// The text of the unit.
    ///
    /// # Errors
    ///
    /// Everything that a unit file cannot hold, at once.
    pub(crate) fn render(&self) -> Result<String, Vec<Unquotable>> {
        let mut problems = Vec::new();
        let mut text = self.head();
        let mut take = |quoted: Result<String, Unquotable>| {
            quoted.map_err(|problem| problems.push(problem)).unwrap_or_default()
        };
        let program = take(program("the command", &shown(&self.program)));
        let directory = take(word("the folder", &shown(&self.directory)));
        line(&mut text, "ExecStart", &format!("{program} -C {directory} up --resume --quiet"));
        if let Owner::Machine { user } = &self.owner {
            let user = take(specifiers("the user", user));
            line(&mut text, "User", &user);
        }
        for (name, value) in self.variables() {
            let setting = take(word("the environment", &format!("{name}={value}")));
            line(&mut text, "Environment", &setting);
        }
        text.push_str(&self.lifecycle());
        text.push_str(CONFINEMENT);
        if self.owner != Owner::User {
            text.push_str(MACHINE_CONFINEMENT);
            // The dash: it need not be there yet.
            let folders = [format!("-{}", shown(&self.state)), shown(&self.directory)];
            let folders = folders.map(|folder| take(word("a folder", &folder)));
            line(&mut text, "ReadWritePaths", &folders.join(" "));
        }
        let target = if self.owner == Owner::User { "default" } else { "multi-user" };
        text.push_str(&format!("\n[Install]\nWantedBy={target}.target\n"));
        if problems.is_empty() { Ok(text) } else { Err(problems) }
    }

    fn head(&self) -> String {
        let mut text = format!("[Unit]\nDescription=The system {}, run by Updraft\n", self.system);
        if self.owner != Owner::User {
            text.push_str("Wants=network-online.target\nAfter=network-online.target\n");
        }
        // However often it ends, it is started again: later each time, and never not.
        text.push_str("StartLimitIntervalSec=0\n\n[Service]\nType=notify\n");
        text
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let path = self.path.iter().map(|path| ("PATH", path.clone()));
        let places = self.places.iter().map(|(name, place)| (*name, shown(place)));
        path.chain(places).collect()
    }

    fn lifecycle(&self) -> String {
        let mut text = String::from("Restart=on-failure\n");
        if self.systemd.is_some_and(|version| RESTART_STEPS_SINCE <= version) {
            text.push_str("RestartSec=1s\nRestartSteps=8\nRestartMaxDelaySec=5min\n");
        } else {
            text.push_str("RestartSec=10s\n");
        }
        // 2 is a manifest or a command line that is wrong, and no time mends that.
        text.push_str("RestartPreventExitStatus=2\n");
        // Builds take as long as they take; each process has its own boot budget.
        text.push_str("TimeoutStartSec=infinity\n");
        line(&mut text, "TimeoutStopSec", &format!("{}s", self.stop.as_secs()));
        line(&mut text, "WatchdogSec", &format!("{}s", WATCHDOG.as_secs()));
        // SIGTERM to the supervisor alone, which ends the rest in order.
        text.push_str("KillMode=mixed\n");
        // Control groups of its own, by which scopes are limited and killed.
        text.push_str("Delegate=yes\n");
        text
    }
}

/// What neither a build nor a guardian needs.
const CONFINEMENT: &str = "NoNewPrivileges=yes\n";

/// What only the service manager of the machine can do for certain: that of a user needs
/// user namespaces for it, which many machines forbid.
const MACHINE_CONFINEMENT: &str = "\
ProtectSystem=full
ProtectKernelModules=yes
ProtectKernelLogs=yes
RestrictSUIDSGID=yes
";

fn line(text: &mut String, name: &str, value: &str) {
    text.push_str(&format!("{name}={value}\n"));
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
#[path = "unit_tests.rs"]
mod tests;
