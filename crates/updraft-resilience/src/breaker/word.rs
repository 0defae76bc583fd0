//! The state of a breaker in one word, and its changes as pure functions of that word: what
//! happens to a half-open circuit can so be checked in every order.
//!
//! From the highest bit: generation 27, mode 2, state 2, places in use (or the stage of a
//! ramp) 9, successes 9, failures 9, abandoned 6. The first three are the *head*, by which a
//! permit is known again.

use super::State;

/// The word as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Word(u64);

#[derive(Clone, Copy)]
struct Field {
    shift: u32,
    bits: u32,
}

const ABANDONED: Field = Field { shift: 0, bits: 6 };
const FAILURES: Field = Field { shift: 6, bits: 9 };
const SUCCESSES: Field = Field { shift: 15, bits: 9 };
const PLACES: Field = Field { shift: 24, bits: 9 };
const STATE: Field = Field { shift: 33, bits: 2 };
const MODE: Field = Field { shift: 35, bits: 2 };
const GENERATION: Field = Field { shift: 37, bits: 27 };
/// Where the head begins.
const HEAD: u64 = u64::MAX << STATE.shift;

impl Field {
    const fn most(self) -> u64 {
        (1 << self.bits) - 1
    }

    const fn get(self, word: Word) -> u64 {
        (word.0 >> self.shift) & self.most()
    }

    const fn set(self, word: Word, value: u64) -> Word {
        let rest = word.0 & !(self.most() << self.shift);
        Word(rest | ((value & self.most()) << self.shift))
    }
}

/// Who decides about the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// The breaker itself.
    Automatic,
    /// The breaker itself, but it refuses nobody.
    Observing,
    /// Held open or closed by hand.
    Held,
    /// Nobody: every call goes through uncounted.
    Disabled,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Probe {
    Succeeded,
    Failed,
    /// It says nothing.
    Returned,
    /// It says something if all do it.
    Abandoned,
}

/// When a half-open circuit is decided.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limits {
    Permits { calls: u64, successes: u64, failures: u64, abandoned: u64 },
    Ramp { min_calls: u64, reopen_at: f64 },
}

/// What follows from the result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Half-open as before, with these counts.
    Stay(Word),
    /// A ramp whose stage is over once it has lasted long enough; until then, these counts.
    Ripe(Word),
    Close,
    Open,
}

impl Word {
    /// Closed and automatic, in the first generation.
    pub(super) const NEW: Self = Self(0);
    /// The head of permits that are not counted. State 3 does not exist, so that it is the
    /// head of no word.
    pub(super) const UNCOUNTED: Self = STATE.set(Self(0), 3);

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// What a permit is known by.
    pub(super) const fn head(self) -> Self {
        Self(self.0 & HEAD)
    }

    /// Closed with nothing special: the question of every call, in one comparison.
    pub(super) const fn is_plainly_closed(self) -> bool {
        let mask = (STATE.most() << STATE.shift) | (MODE.most() << MODE.shift);
        self.0 & mask == 0
    }

    pub(super) const fn state(self) -> State {
        match STATE.get(self) {
            0 => State::Closed,
            1 => State::Open,
            _ => State::HalfOpen,
        }
    }

    pub(super) const fn control(self) -> Control {
        match MODE.get(self) {
            0 => Control::Automatic,
            1 => Control::Observing,
            2 => Control::Held,
            _ => Control::Disabled,
        }
    }

    pub(super) const fn generation(self) -> u64 {
        GENERATION.get(self)
    }

    /// The probes that are running; the present stage, for a ramp.
    pub(super) const fn places(self) -> u64 {
        PLACES.get(self)
    }

    pub(super) const fn successes(self) -> u64 {
        SUCCESSES.get(self)
    }

    pub(super) const fn failures(self) -> u64 {
        FAILURES.get(self)
    }

    pub(super) const fn abandoned(self) -> u64 {
        ABANDONED.get(self)
    }

    /// A new generation in this state, with nothing counted.
    pub(super) const fn enter(self, state: State) -> Self {
        let number = match state {
            State::Closed => 0,
            State::Open => 1,
            State::HalfOpen => 2,
        };
        let next = GENERATION.set(self.head(), self.generation().wrapping_add(1));
        STATE.set(next, number)
    }

    /// The same under another control.
    pub(super) const fn under(self, control: Control) -> Self {
        let number = match control {
            Control::Automatic => 0,
            Control::Observing => 1,
            Control::Held => 2,
            Control::Disabled => 3,
        };
        MODE.set(self, number)
    }

    /// Takes a place for a probe, if one is free.
    pub(super) const fn reserve(self, calls: u64) -> Option<Self> {
        let taken = self.places();
        if taken < calls { Some(PLACES.set(self, taken + 1)) } else { None }
    }

    /// The next stage of a ramp, in the same generation.
    pub(super) const fn next_stage(self) -> Self {
        PLACES.set(self.head(), self.places() + 1)
    }

    /// The result of a probe, which gives its place back.
    pub(super) fn settle(self, probe: Probe, limits: Limits) -> Step {
        match limits {
            Limits::Permits { successes, failures, abandoned, .. } => {
                let next = PLACES.set(self, self.places().saturating_sub(1)).count(probe);
                let nothing_else = next.successes() == 0 && next.failures() == 0;
                if next.failures() > failures || (nothing_else && next.abandoned() >= abandoned) {
                    Step::Open
                } else if next.successes() >= successes {
                    Step::Close
                } else {
                    Step::Stay(next)
                }
            }
            Limits::Ramp { min_calls, reopen_at } => {
                let next = if probe == Probe::Abandoned { self } else { self.count(probe) };
                let calls = next.successes() + next.failures();
                if calls < min_calls {
                    Step::Stay(next)
                } else if next.failures() as f64 / calls as f64 >= reopen_at {
                    Step::Open
                } else {
                    Step::Ripe(next)
                }
            }
        }
    }

    fn count(self, probe: Probe) -> Self {
        let field = match probe {
            Probe::Succeeded => SUCCESSES,
            Probe::Failed => FAILURES,
            Probe::Abandoned => {
                let seen = (self.abandoned() + 1).min(ABANDONED.most());
                return ABANDONED.set(self, seen);
            }
            Probe::Returned => return self,
        };
        // A ramp goes on counting beyond the field; halves keep the rate.
        let room = if field.get(self) < field.most() {
            self
        } else {
            let halved = SUCCESSES.set(self, self.successes() / 2);
            FAILURES.set(halved, self.failures() / 2)
        };
        field.set(room, field.get(room) + 1)
    }
}

#[cfg(test)]
#[path = "word_tests.rs"]
mod tests;
