//! One rule over time: wishes of its loads, bounds, windows and steps. It reads no clock and
//! measures nothing: `now` and the samples come in.

use tokio::time::Instant;
use updraft_system::ScaleRule;

use super::load::{self, Milli, Sample};
use super::window::Window;

/// Copies that may be started at once where few run, as Kubernetes has it.
const STEP_UP_LEAST: u32 = 4;

/// A rule with what it has wished before.
#[derive(Debug)]
pub(crate) struct Ruling {
    rule: ScaleRule,
    up: Window,
    down: Window,
    /// Before the first decision nothing has been wished.
    begun: bool,
}

/// One load with what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) wish: Option<u32>,
}

/// What a rule says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What each load asks for, in their order.
    pub(crate) said: Vec<Said>,
    /// What the load that asks for most asks for, within the bounds; `None`: none could be
    /// measured.
    pub(crate) wish: Option<u32>,
    /// The copies that there are to be.
    pub(crate) copies: u32,
    /// What stands between the wish and the copies.
    pub(crate) because: Because,
}

/// Why a rule gives the number that it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Because {
    /// The load of that index asks for it.
    Load(usize),
    /// The load of that index asks for less than `min`.
    Least(usize),
    /// The load of that index asks for more than `max`.
    Most(usize),
    /// A wish of the window was more cautious.
    Window,
    /// It goes there step by step.
    Step,
    /// Nothing could be measured; the number stays.
    Unmeasured,
    /// A load could not be measured and might need what there is; the number stays.
    PartlyUnmeasured,
    /// The number is out of the bounds.
    Bounds,
}

impl Ruling {
    pub(crate) fn new(rule: ScaleRule) -> Self {
        let up = Window::least(rule.stabilize.up);
        let down = Window::greatest(rule.stabilize.down);
        Self { rule, up, down, begun: false }
    }

    /// Decides. `samples` are the rule's loads with the load of one copy that is aimed at,
    /// `None` for one that could not be measured; `current` the copies that there are.
    pub(crate) fn decide(
        &mut self,
        now: Instant,
        current: u32,
        samples: &[(Option<Sample>, Milli)],
    ) -> Verdict {
        let said: Vec<Said> = samples
            .iter()
            .map(|(sample, target)| {
                let sample = sample.as_ref();
                Said { wish: sample.and_then(|it| load::desired(it, *target, current)) }
            })
            .collect();
        let (min, max) = (self.rule.min, self.rule.max);
        let wishes = said.iter().enumerate().filter_map(|(at, it)| Some((it.wish?, at)));
        // The first of those that ask for the same.
        let greatest = wishes.max_by_key(|(wish, at)| (*wish, usize::MAX - at));
        let Some((asked, at)) = greatest else {
            let copies = current.clamp(min, max);
            let stays = copies == current;
            let because = if stays { Because::Unmeasured } else { Because::Bounds };
            return Verdict { said, wish: None, copies, because };
        };
        let (mut wish, mut because) = match asked {
            asked if asked < min => (min, Because::Least(at)),
            asked if max < asked => (max, Because::Most(at)),
            asked => (asked, Because::Load(at)),
        };
        // Kubernetes scales up by what it knows, and down only when it knows everything.
        if wish < current && said.iter().any(|it| it.wish.is_none()) && current <= max {
            (wish, because) = (current, Because::PartlyUnmeasured);
        }
        let settled = self.settle(now, current, wish);
        if settled != wish {
            because = Because::Window;
        }
        let copies = self.step(current, settled).clamp(min, max);
        if copies != settled {
            let bounded = !(min..=max).contains(&settled);
            because = if bounded { Because::Bounds } else { Because::Step };
        }
        Verdict { said, wish: Some(wish), copies, because }
    }

    /// The windows: no more than the least wish of the one, no fewer than the greatest of
    /// the other.
    fn settle(&mut self, now: Instant, current: u32, wish: u32) -> u32 {
        if !self.begun {
            // What runs at first is what somebody wished, so it is given up as slowly.
            self.begun = true;
            self.up.add(now, current);
            self.down.add(now, current);
        }
        let up = self.up.add(now, wish);
        let down = self.down.add(now, wish);
        current.max(up).min(down)
    }

    fn step(&self, current: u32, settled: u32) -> u32 {
        let steps = &self.rule.step;
        let up = steps.up.unwrap_or_else(|| current.max(STEP_UP_LEAST));
        let down = steps.down.unwrap_or(u32::MAX);
        settled.min(current.saturating_add(up)).max(current.saturating_sub(down))
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
