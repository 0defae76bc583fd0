//! Follows one guardian to its end: what it reports is the state of its scope.

use std::path::PathBuf;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::process::Child;
use tokio::sync::watch;
use updraft_system::ConfinementStatus;

use super::members::Listed;
use super::protocol::Report;
use super::{Exit, ProcessId, SCOPE_VARIABLE, cgroup, procfs, remove_folder};

/// What is known of a scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    pub(super) started: Option<Result<(ProcessId, Option<ConfinementStatus>), String>>,
    pub(super) exit: Option<Exit>,
    pub(super) empty: bool,
}

/// Turns a guardian's reports into the state of its scope.
pub(super) struct Follower {
    pub(super) guardian: Child,
    pub(super) left: Left,
    pub(super) teller: watch::Sender<Life>,
    pub(super) listed: Listed,
}

/// What a scope leaves whose guardian was killed.
pub(super) struct Left {
    pub(super) mark: String,
    pub(super) group: Option<PathBuf>,
    pub(super) groups: Vec<PathBuf>,
    pub(super) folder: Option<PathBuf>,
}

impl Follower {
    pub(super) async fn follow(mut self, reports: BufReader<OwnedReadHalf>) {
        let mut lines = reports.lines();
        let mut told_empty = false;
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(report) = serde_json::from_str(&line) else { break };
            self.teller.send_modify(|life| match report {
                Report::Started(leader, confinement) => {
                    life.started = Some(Ok((leader, confinement)));
                }
                Report::Refused(reason) => life.started = Some(Err(reason)),
                Report::Ended { memory_limit: Some(limit), .. } => {
                    life.exit = Some(Exit::MemoryLimit(limit));
                }
                Report::Ended { code, signal, out_of_memory, .. } => {
                    life.exit = Some(Exit::from_report(code, signal, out_of_memory));
                }
                Report::Empty => told_empty = true,
            });
        }
        // Both before the scope is said to be empty: then not even its guardian is left.
        drop(self.guardian.wait().await);
        if !told_empty {
            let left = self.left;
            drop(tokio::task::spawn_blocking(move || left.sweep()).await);
        }
        // Before the next scope of this label can be on the roll.
        drop(self.listed);
        self.teller.send_modify(|life| {
            life.exit = life.exit.or(Some(Exit::GuardLost));
            life.empty = true;
        });
    }
}

impl Left {
    /// Kills the scope, and removes what was its own.
    fn sweep(&self) {
        if let Some(group) = &self.group {
            cgroup::kill(group);
        }
        procfs::kill_all(
            || procfs::with_variable(SCOPE_VARIABLE, |scope| scope == self.mark.as_bytes()),
            std::thread::yield_now,
        );
        self.groups.iter().for_each(|group| cgroup::remove(group));
        if let Some(folder) = &self.folder {
            // Where it was never made there is none.
            drop(remove_folder(folder));
        }
    }
}
