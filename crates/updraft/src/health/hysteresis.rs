//! When a few answers become a verdict: one lost packet must not take a fleet out of
//! service, and one answer of a server that restarts must not bring it back.

/// Failed checks in a row after which what was up is down, …
const FAILURES_DOWN: u32 = 3;

/// … and good ones after which what was down is up.
const SUCCESSES_UP: u32 = 2;

/// A verdict over a row of checks. It has none before the first check, which decides alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hysteresis {
    up: Option<bool>,
    /// Checks in a row that contradict the verdict.
    against: u32,
}

impl Hysteresis {
    pub(super) fn up(self) -> Option<bool> {
        self.up
    }

    /// Whether the last check contradicted the verdict, so that the next should come soon.
    pub(super) fn is_in_doubt(self) -> bool {
        0 < self.against
    }

    /// Takes in one check; `true`: the verdict has changed.
    pub(super) fn note(&mut self, good: bool) -> bool {
        let needed = match self.up {
            None => 1,
            Some(up) if up == good => {
                self.against = 0;
                return false;
            }
            Some(true) => FAILURES_DOWN,
            Some(false) => SUCCESSES_UP,
        };
        self.against += 1;
        let changed = needed <= self.against;
        if changed {
            *self = Self { up: Some(good), against: 0 };
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_several_checks_in_a_row_to_turn() {
        // Each letter is a check, and below it what is thought after it.
        for (checks, verdicts) in [
            ("+", "+"),
            ("-", "-"),
            ("+--+--+", "+++++++"),
            ("+---", "+++-"),
            ("+---+-+", "+++----"),
            ("+---++", "+++--+"),
            ("-+-++", "----+"),
        ] {
            let mut hysteresis = Hysteresis::default();
            let thought: String = checks
                .chars()
                .map(|check| {
                    hysteresis.note(check == '+');
                    if hysteresis.up() == Some(true) { '+' } else { '-' }
                })
                .collect();
            assert_eq!(thought, verdicts, "{checks}");
        }
    }
}
