//! The breaker in the hands of an operator: forced open or closed, off, or only watching.

use std::sync::atomic::Ordering;

use super::word::{Control, Word};
use super::{Breaker, State};
use crate::Instant;

/// Who decides whether calls go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Mode {
    /// The breaker.
    #[default]
    Automatic,
    /// Nothing goes through.
    ForcedOpen,
    /// Everything goes through and is counted; the circuit never opens.
    ForcedClosed,
    /// Everything goes through, and nothing is counted.
    Disabled,
    /// Everything goes through; the breaker counts, and changes its state as if it decided:
    /// transitions, state, and number of refusals are those that would have been. What would
    /// have been refused is not counted as a result.
    ObserveOnly,
}

impl Breaker {
    /// Who decides.
    pub fn mode(&self) -> Mode {
        let word = self.word();
        match (word.control(), word.state()) {
            (Control::Automatic, _) => Mode::Automatic,
            (Control::Observing, _) => Mode::ObserveOnly,
            (Control::Disabled, _) => Mode::Disabled,
            (Control::Held, State::Closed) => Mode::ForcedClosed,
            (Control::Held, _) => Mode::ForcedOpen,
        }
    }

    /// Refuses every call until another mode is chosen. Results of running calls are lost, as
    /// at every change of mode.
    pub fn force_open(&self) {
        self.choose(|word| word.enter(State::Open).under(Control::Held));
    }

    /// Lets every call through, and counts them.
    pub fn force_close(&self) {
        self.choose(|word| word.enter(State::Closed).under(Control::Held));
    }

    /// Lets every call through, and counts nothing.
    pub fn disable(&self) {
        self.choose(|word| word.enter(State::Closed).under(Control::Disabled));
    }

    /// Lets every call through, and watches what the breaker would do. A circuit that was
    /// open, or half-open, is so for the watcher.
    pub fn observe_only(&self) {
        self.choose(|word| match word.control() {
            Control::Observing => word,
            Control::Automatic => word.enter(word.state()).under(Control::Observing),
            Control::Held | Control::Disabled => {
                word.enter(State::Closed).under(Control::Observing)
            }
        });
    }

    /// Lets the breaker decide. After [`force_open`](Self::force_open) the next call is a
    /// probe; after [`observe_only`](Self::observe_only) the state that was observed holds;
    /// otherwise the circuit is closed, with empty windows.
    pub fn resume(&self) {
        self.choose(|word| match word.control() {
            Control::Automatic => word,
            Control::Observing | Control::Held => {
                word.enter(word.state()).under(Control::Automatic)
            }
            Control::Disabled => word.enter(State::Closed).under(Control::Automatic),
        });
    }

    /// Forgets everything that was counted, and closes the circuit. The mode stays as it is,
    /// and so does a circuit that is forced open.
    pub fn reset(&self) {
        self.choose(|word| match (word.control(), word.state()) {
            (Control::Held, state) => word.enter(state),
            _ => word.enter(State::Closed),
        });
        self.forget();
        self.tolls.0.lost.store(0, Ordering::Relaxed);
        self.tolls.0.rejected.store(0, Ordering::Relaxed);
    }

    fn choose(&self, next: impl Fn(Word) -> Word) {
        let mut openings = self.turn();
        loop {
            let from = self.word();
            let to = next(from);
            if to == from {
                return;
            }
            let goes_on = to.state() == from.state()
                && from.control() != Control::Held
                && from.control() != Control::Disabled
                && to.control() != Control::Held
                && to.control() != Control::Disabled;
            if !goes_on {
                // A new beginning: nothing that was counted before may open it, and after a
                // forced opening the open time is over at once.
                self.forget();
                self.shared.0.open_until.store(Instant::ZERO.as_nanos(), Ordering::Release);
                *openings = 0;
            }
            if self.swing(from, to) {
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "manual_tests.rs"]
mod tests;
