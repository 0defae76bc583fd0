//! The state word: its fields, and every order in which threads may change it.
//!
//! The last test walks through all states that three threads with two calls each, and a fourth
//! that lets open times pass and closed circuits trip, can bring about. A thread takes each of
//! these as one step: reading the word, swinging it to take a place, reading it again with a
//! result, swinging it to hand the result in; a swing that fails begins again. Each kind of
//! result is tried at each point, over several half-open cycles. What it does not cover: the
//! weak order of memory (there is one word, and what is beside it is published before it), the
//! windows, and the ramp's stages.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn fields_do_not_touch_each_other(bits in any::<u64>(), value in any::<u64>()) {
        let fields = [ABANDONED, FAILURES, SUCCESSES, PLACES, STATE, MODE, GENERATION];
        for field in fields {
            let changed = field.set(Word(bits), value);
            for other in fields {
                let expected = if other.shift == field.shift {
                    value & field.most()
                } else {
                    other.get(Word(bits))
                };
                prop_assert_eq!(other.get(changed), expected);
            }
        }
    }

    #[test]
    fn a_new_generation_has_another_head_and_counts_nothing(bits in any::<u64>()) {
        for state in [State::Closed, State::Open, State::HalfOpen] {
            let next = Word(bits).enter(state);
            prop_assert_ne!(next.head(), Word(bits).head());
            prop_assert_eq!(next.bits(), next.head().bits());
            prop_assert_eq!(next.state(), state);
            prop_assert_eq!(MODE.get(next), MODE.get(Word(bits)));
        }
    }

    #[test]
    fn a_ramp_keeps_its_rate_beyond_the_field(results in prop::collection::vec(any::<bool>(), 1..4000)) {
        let limits = Limits::Ramp { min_calls: 5000, reopen_at: 1.0 };
        let mut word = Word::NEW.enter(State::HalfOpen);
        for ok in results {
            let probe = if ok { Probe::Succeeded } else { Probe::Failed };
            let Step::Stay(next) = word.settle(probe, limits) else { panic!("decided") };
            prop_assert!(next.failures() <= 511 && next.successes() <= 511);
            prop_assert_eq!(next.head(), word.head());
            prop_assert_eq!(next.places(), 0);
            word = next;
        }
    }
}

#[test]
fn the_fields_fill_the_word() {
    let fields = [ABANDONED, FAILURES, SUCCESSES, PLACES, STATE, MODE, GENERATION];
    assert_eq!(fields.iter().map(|field| field.bits).sum::<u32>(), 64);
}

#[test]
fn a_word_is_plainly_closed_only_in_that_state_and_mode() {
    assert!(Word::NEW.is_plainly_closed());
    for control in [Control::Observing, Control::Held, Control::Disabled] {
        assert!(!Word::NEW.under(control).is_plainly_closed());
        assert_eq!(Word::NEW.under(control).control(), control);
    }
    assert!(!Word::NEW.enter(State::Open).is_plainly_closed());
    assert!(!Word::NEW.enter(State::HalfOpen).is_plainly_closed());
}

#[test]
fn the_generation_begins_again_after_its_last_number() {
    let last = GENERATION.set(Word::NEW, u64::MAX);
    assert_eq!(last.enter(State::Open).generation(), 0);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Thread {
    Idle,
    /// Has read the word and will try to take a place.
    Asking(Word),
    Running(Word),
    /// Has a result, and has not yet read the word.
    Finished(Word, Probe),
    /// Has read the word and will try to hand the result in.
    Handing(Word, Probe),
}

impl Thread {
    /// Any order will do, as long as it tells all apart.
    fn rank(self) -> (u8, u64, Option<u8>) {
        let number = |probe| match probe {
            Probe::Succeeded => 0,
            Probe::Failed => 1,
            Probe::Returned => 2,
            Probe::Abandoned => 3,
        };
        match self {
            Self::Idle => (0, 0, None),
            Self::Asking(word) => (1, word.bits(), None),
            Self::Running(word) => (2, word.bits(), None),
            Self::Finished(word, probe) => (3, word.bits(), Some(number(probe))),
            Self::Handing(word, probe) => (4, word.bits(), Some(number(probe))),
        }
    }
}

/// What the word should say, kept beside it in the plainest way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Tally {
    successes: u64,
    failures: u64,
    abandoned: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct World {
    word: Word,
    threads: [(Thread, u8); 3],
    tally: Tally,
}

const CALLS: u64 = 2;
const NEEDED: u64 = 2;
const ALLOWED: u64 = 1;
const ABANDONED_ALL: u64 = 2;
const LIMITS: Limits = Limits::Permits {
    calls: CALLS,
    successes: NEEDED,
    failures: ALLOWED,
    abandoned: ABANDONED_ALL,
};
const LAST_GENERATION: u64 = 8;
const CALLS_OF_A_THREAD: u8 = 2;

impl World {
    fn with(mut self, index: usize, thread: Thread) -> Self {
        if thread == Thread::Idle {
            self.threads[index].1 += 1;
        }
        self.threads[index].0 = thread;
        self
    }

    fn passes_on(self) -> Option<Self> {
        let next = match self.word.state() {
            _ if self.word.generation() >= LAST_GENERATION => return None,
            State::Open => State::HalfOpen,
            State::Closed => State::Open,
            State::HalfOpen => return None,
        };
        Some(Self { word: self.word.enter(next), tally: Tally::default(), ..self })
    }

    /// Everything that this thread may do next.
    fn steps(self, index: usize) -> Vec<Self> {
        let (thread, calls) = self.threads[index];
        match thread {
            Thread::Idle if calls >= CALLS_OF_A_THREAD || self.word.state() != State::HalfOpen => {
                Vec::new()
            }
            Thread::Idle => vec![self.with(index, Thread::Asking(self.word))],
            Thread::Asking(seen) => match seen.reserve(CALLS) {
                None => vec![self.with(index, Thread::Idle)],
                Some(next) if seen == self.word => {
                    vec![Self { word: next, ..self }.with(index, Thread::Running(seen.head()))]
                }
                Some(_) => {
                    let mut again = self;
                    again.threads[index].0 = Thread::Idle;
                    vec![again]
                }
            },
            Thread::Running(head) => {
                [Probe::Succeeded, Probe::Failed, Probe::Returned, Probe::Abandoned]
                    .map(|probe| self.with(index, Thread::Finished(head, probe)))
                    .to_vec()
            }
            Thread::Finished(head, _) if self.word.head() != head => {
                vec![self.with(index, Thread::Idle)]
            }
            Thread::Finished(_, probe) => {
                vec![self.with(index, Thread::Handing(self.word, probe))]
            }
            Thread::Handing(seen, probe) if seen != self.word => {
                vec![self.with(index, Thread::Finished(seen.head(), probe))]
            }
            Thread::Handing(_, probe) => vec![self.hand_in(probe).with(index, Thread::Idle)],
        }
    }

    fn hand_in(mut self, probe: Probe) -> Self {
        match probe {
            Probe::Succeeded => self.tally.successes += 1,
            Probe::Failed => self.tally.failures += 1,
            Probe::Abandoned => self.tally.abandoned += 1,
            Probe::Returned => {}
        }
        let Tally { successes, failures, abandoned } = self.tally;
        let all_abandoned = successes + failures == 0 && abandoned >= ABANDONED_ALL;
        let opens = failures > ALLOWED || all_abandoned;
        let closes = !opens && successes >= NEEDED;
        match self.word.settle(probe, LIMITS) {
            Step::Stay(next) => {
                assert!(!opens && !closes, "{self:?}");
                self.word = next;
            }
            Step::Open => {
                assert!(opens, "{self:?}");
                self.word = self.word.enter(State::Open);
            }
            Step::Close => {
                assert!(closes, "{self:?}");
                self.word = self.word.enter(State::Closed);
            }
            Step::Ripe(_) => panic!("no ramp"),
        }
        self
    }

    fn check(&self) {
        if self.word.state() != State::HalfOpen {
            assert_eq!(self.word, self.word.head(), "{self:?}");
            return;
        }
        let running = self.threads.iter().filter(|(thread, _)| match thread {
            Thread::Running(word) | Thread::Finished(word, _) | Thread::Handing(word, _) => {
                word.head() == self.word.head()
            }
            Thread::Idle | Thread::Asking(_) => false,
        });
        assert_eq!(self.word.places(), running.count() as u64, "{self:?}");
        assert!(self.word.places() <= CALLS, "{self:?}");
        let counted = Tally {
            successes: self.word.successes(),
            failures: self.word.failures(),
            abandoned: self.word.abandoned(),
        };
        assert_eq!(counted, self.tally, "{self:?}");
    }
}

#[test]
fn three_threads_keep_the_half_open_word_right_in_every_order() {
    let start = World {
        word: Word::NEW.enter(State::Open),
        threads: [(Thread::Idle, 0); 3],
        tally: Tally::default(),
    };
    let mut seen = HashSet::from([start]);
    let mut waiting = vec![start];
    let mut closed = 0_u32;
    while let Some(world) = waiting.pop() {
        world.check();
        closed += u32::from(world.word.state() == State::Closed);
        let steps = (0..3).flat_map(|index| world.steps(index)).chain(world.passes_on());
        for mut next in steps {
            // Threads are alike: their order makes no other world.
            next.threads.sort_unstable_by_key(|(thread, calls)| (thread.rank(), *calls));
            if seen.insert(next) {
                waiting.push(next);
            }
        }
    }
    assert!(closed > 0 && seen.len() > 10_000, "only {} worlds, {closed} closed", seen.len());
}
