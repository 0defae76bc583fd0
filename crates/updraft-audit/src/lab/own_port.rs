//! Programs that listen at a port of their own, whatever they are given: two trials of one at
//! a time would be in each other's way, and neither would say anything about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::subject::Subject;

/// Held by the one that runs.
pub(super) type Turn = OwnedMutexGuard<()>;

/// How long one waits for the others. Whoever starts two at once by intent waits for itself.
const TURN_WITHIN: Duration = Duration::from_secs(60);

/// The programs that are known to be so. All others run at the same time.
#[derive(Debug, Default)]
pub(super) struct OwnPorts {
    known: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Those whose port somebody has who is not of this audit.
    hopeless: Mutex<BTreeSet<String>>,
}

impl OwnPorts {
    /// Waits for its turn where the program is known to need one. `None`: it needs none, or
    /// waits in vain.
    pub(super) async fn turn(&self, subject: &Subject) -> Option<Turn> {
        let known = self.known().get(&key(subject)).cloned();
        take(known?).await
    }

    /// The same for a program that has just been found to be so.
    pub(super) async fn turn_of(&self, subject: &Subject) -> Option<Turn> {
        let own = self.learnt(subject);
        take(own).await
    }

    /// Notes a program that runs and listens elsewhere; nobody has waited for a turn yet.
    pub(super) fn found(&self, subject: &Subject, elsewhere: bool) -> Option<Turn> {
        elsewhere.then(|| self.learnt(subject).try_lock_owned().ok()).flatten()
    }

    fn learnt(&self, subject: &Subject) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.known().entry(key(subject)).or_default())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the program is known to be so.
    pub(super) fn is_known(&self, subject: &Subject) -> bool {
        self.known().contains_key(&key(subject))
    }

    /// Notes that waiting was in vain.
    pub(super) fn give_up(&self, subject: &Subject) {
        self.hopeless.lock().unwrap_or_else(PoisonError::into_inner).insert(key(subject));
    }

    /// Whether waiting was in vain before.
    pub(super) fn is_hopeless(&self, subject: &Subject) -> bool {
        self.hopeless.lock().unwrap_or_else(PoisonError::into_inner).contains(&key(subject))
    }
}

async fn take(own: Arc<tokio::sync::Mutex<()>>) -> Option<Turn> {
    tokio::time::timeout(TURN_WITHIN, own.lock_owned()).await.ok()
}

fn key(subject: &Subject) -> String {
    format!("{}\n{}", subject.folder.display(), subject.line())
}

/// Whether a line of a program says that somebody else has its port.
pub(super) fn is_taken(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ["eaddrinuse", "address already in use", "address in use", "port is already allocated"]
        .iter()
        .any(|words| line.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_words_for_a_taken_port_are_known() {
        for line in [
            "Error: listen EADDRINUSE: address already in use :::3000",
            "OSError: [Errno 98] Address already in use",
            "listen tcp :8080: bind: address already in use",
        ] {
            assert!(is_taken(line), "{line}");
        }
        assert!(!is_taken("Error: Cannot find module 'express'"));
    }

    #[tokio::test]
    async fn a_program_with_a_port_of_its_own_waits_for_the_one_before_it_and_others_do_not() {
        let subject = |name: &str| {
            Subject::command(vec![name.to_owned()], "/".into(), std::collections::BTreeMap::new())
        };
        let (own, other) = (subject("own"), subject("other"));
        let ports = OwnPorts::default();
        assert!(ports.turn(&own).await.is_none(), "nothing is known yet");
        let turn = ports.found(&own, true);
        assert!(turn.is_some());
        assert!(ports.is_known(&own) && !ports.is_known(&other));
        assert!(ports.found(&other, false).is_none());
        assert!(ports.turn(&other).await.is_none());
        let second = tokio::time::timeout(Duration::from_millis(50), ports.turn(&own)).await;
        assert!(second.is_err(), "the first still runs");
        drop(turn);
        assert!(ports.turn(&own).await.is_some());
    }
}
