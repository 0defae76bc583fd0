//! How far the end of a listener, a connection or a whole gateway has come: the one drain.

use std::time::Duration;

use tokio::sync::watch;

/// How far the end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Nothing ends.
    #[default]
    Open,
    /// Nothing new is accepted; what is under way may end in peace.
    Draining,
    /// What is still under way is cut.
    Closed,
}

/// Sees the phase.
#[derive(Clone, Debug)]
pub(crate) struct PhaseWatch(watch::Receiver<Phase>);

/// Moves the phase on. Dropped, it closes.
#[derive(Debug)]
pub(crate) struct PhaseSwitch(watch::Sender<Phase>);

impl PhaseSwitch {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Phase::Open))
    }

    pub(crate) fn watch(&self) -> PhaseWatch {
        PhaseWatch(self.0.subscribe())
    }

    /// Goes on to `phase`; never back.
    pub(crate) fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let further = *now < phase;
            *now = phase.max(*now);
            further
        });
    }

    /// Resolves when nobody watches any more.
    pub(crate) async fn unwatched(&self) {
        self.0.closed().await;
    }

    /// Lets what is under way end within `grace`, then cuts it. Says whether that was needed.
    pub(crate) async fn drain(&self, grace: Duration) -> bool {
        self.advance(Phase::Draining);
        let ended = tokio::time::timeout(grace, self.unwatched()).await;
        if ended.is_err() {
            self.advance(Phase::Closed);
            self.unwatched().await;
        }
        ended.is_err()
    }
}

impl Drop for PhaseSwitch {
    fn drop(&mut self) {
        self.advance(Phase::Closed);
    }
}

impl PhaseWatch {
    /// Where it stands.
    pub(crate) fn now(&self) -> Phase {
        *self.0.borrow()
    }

    /// Resolves when the end has come as far as `phase`.
    pub(crate) async fn reaches(&mut self, phase: Phase) {
        // A switch that is gone has closed.
        drop(self.0.wait_for(|now| phase <= *now).await);
    }
}
