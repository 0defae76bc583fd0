//! Programs that listen at a port of their own, whatever they are given: two trials of one at
//! a time would be in each other's way, and neither would say anything about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::network::NetworkId;
use crate::subject::Subject;

/// Held by the one that runs.
pub(super) type Turn = OwnedMutexGuard<()>;

/// Who runs, of each program in each network.
type Turns = BTreeMap<(String, NetworkId), Arc<tokio::sync::Mutex<()>>>;

/// How long one waits for the others. Whoever starts two at once by intent waits for itself.
const TURN_WITHIN: Duration = Duration::from_secs(60);

/// The programs that are known to be so. All others run at the same time.
#[derive(Debug, Default)]
pub(super) struct OwnPorts {
    known: Mutex<BTreeSet<String>>,
    /// Who runs of them, in each network for itself.
    turns: Mutex<Turns>,
    /// Those whose port somebody has who is not of this audit.
    hopeless: Mutex<BTreeSet<(String, NetworkId)>>,
}

impl OwnPorts {
    /// Waits for its turn in a network that others have too, where the program is known to need
    /// one. `None`: it needs none, or waits in vain.
    pub(super) async fn turn(&self, subject: &Subject, network: NetworkId) -> Option<Turn> {
        if !self.is_known(subject) {
            return None;
        }
        self.turn_of(subject, network).await
    }

    /// The same for a program that has just been found to be so.
    pub(super) async fn turn_of(&self, subject: &Subject, network: NetworkId) -> Option<Turn> {
        let own = self.learnt(subject, network);
        tokio::time::timeout(TURN_WITHIN, own.lock_owned()).await.ok()
    }

    /// Notes a program that runs and listens elsewhere; nobody has waited for a turn yet. In a
    /// network of its own it needs none.
    pub(super) fn found(&self, subject: &Subject, shared: Option<NetworkId>) -> Option<Turn> {
        self.known().insert(key(subject));
        self.learnt(subject, shared?).try_lock_owned().ok()
    }

    fn learnt(&self, subject: &Subject, network: NetworkId) -> Arc<tokio::sync::Mutex<()>> {
        self.known().insert(key(subject));
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry((key(subject), network)).or_default())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the program is known to be so.
    pub(super) fn is_known(&self, subject: &Subject) -> bool {
        self.known().contains(&key(subject))
    }

    /// Notes that waiting was in vain.
    pub(super) fn give_up(&self, subject: &Subject, network: NetworkId) {
        let mut hopeless = self.hopeless.lock().unwrap_or_else(PoisonError::into_inner);
        hopeless.insert((key(subject), network));
    }

    /// Whether waiting was in vain before.
    pub(super) fn is_hopeless(&self, subject: &Subject, network: NetworkId) -> bool {
        let hopeless = self.hopeless.lock().unwrap_or_else(PoisonError::into_inner);
        hopeless.contains(&(key(subject), network))
    }
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
        let (ports, host) = (OwnPorts::default(), NetworkId::default());
        assert!(ports.turn(&own, host).await.is_none(), "nothing is known yet");
        let turn = ports.found(&own, Some(host));
        assert!(turn.is_some());
        assert!(ports.is_known(&own) && !ports.is_known(&other));
        assert!(ports.turn(&other, host).await.is_none());
        assert!(ports.found(&own, None).is_none(), "in a network of its own it needs no turn");
        let second = tokio::time::timeout(Duration::from_millis(50), ports.turn(&own, host)).await;
        assert!(second.is_err(), "the first still runs");
        drop(turn);
        assert!(ports.turn(&own, host).await.is_some());
    }
}
