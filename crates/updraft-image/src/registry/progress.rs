//! What whoever waits is told: how much of each blob has gone or come.

use tokio::sync::mpsc;

use crate::Digest;

/// Steps that may wait for the reader; when it is slower, it misses some.
const STEPS_MOST: usize = 256;

/// One step: a sum, so that a step that is missed does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Of which blob.
    pub digest: Digest,
    /// Bytes of it that the registry has, or that are here.
    pub done: u64,
    /// Its size in bytes.
    pub total: u64,
}

/// Where steps are told. It never makes a transfer wait.
#[derive(Clone, Debug, Default)]
pub struct Progress(Option<mpsc::Sender<Step>>);

impl Progress {
    /// Tells nobody.
    pub const fn silent() -> Self {
        Self(None)
    }

    /// With the end that steps come out of; the queue holds 256, and further ones are dropped.
    pub fn channel() -> (Self, mpsc::Receiver<Step>) {
        let (sender, receiver) = mpsc::channel(STEPS_MOST);
        (Self(Some(sender)), receiver)
    }

    pub(super) fn tell(&self, digest: &Digest, done: u64, total: u64) {
        if let Some(sender) = &self.0 {
            // A full queue is a reader that looks later; the next step has the same sum.
            drop(sender.try_send(Step { digest: digest.clone(), done, total }));
        }
    }
}
