//! What a setting means for one message. Pure: it neither waits nor tells anybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{ConnectionId, Direction, Manner, Message, Patience, Setting, Target, When};

/// What is done with one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Hold(Patience),
    Stall,
    Delay(Duration),
    Cut(Manner),
    /// It passes, and the cut comes once the receiver has the whole request.
    CutAfterRequest(Manner),
    /// It begins to pass, and the cut comes after so many bytes.
    CutMidResponse(Manner, u64),
}

/// A setting at work.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) setting: Setting,
    /// Which setting of its instrument it is.
    pub(super) generation: u64,
    matched: AtomicU64,
}

impl Active {
    pub(super) const fn new(setting: Setting, generation: u64) -> Self {
        Self { setting, generation, matched: AtomicU64::new(0) }
    }

    /// What becomes of a message. To be asked once for each, because it counts.
    pub(super) fn judge(&self, message: &Message, connection: ConnectionId) -> Verdict {
        let way = message.direction;
        match &self.setting {
            Setting::Pass | Setting::Swap { .. } => Verdict::Pass,
            Setting::Hold { on, target, patience } if *on == way => self
                .take(target, message, connection)
                .map_or(Verdict::Pass, |_| Verdict::Hold(*patience)),
            Setting::Hold { .. } => Verdict::Pass,
            Setting::Cut { when, target, manner } => {
                self.cut(*when, target, *manner, message, connection)
            }
            Setting::Stall { on, target } => {
                let number =
                    on.is_none_or(|on| on == way).then(|| self.take(target, message, connection));
                number.flatten().map_or(Verdict::Pass, |_| Verdict::Stall)
            }
            Setting::Delay { on, target, by, jitter, share, seed } => {
                let number =
                    on.is_none_or(|on| on == way).then(|| self.take(target, message, connection));
                let Some(number) = number.flatten() else { return Verdict::Pass };
                let mut random = random(*seed, number);
                if random.f64() >= share.ratio() {
                    return Verdict::Pass;
                }
                Verdict::Delay(by.saturating_add(jitter.mul_f64(random.f64())))
            }
        }
    }

    fn cut(
        &self,
        when: When,
        target: &Target,
        manner: Manner,
        message: &Message,
        connection: ConnectionId,
    ) -> Verdict {
        let (on, verdict) = match when {
            When::Now { refuse: false } => return Verdict::Pass,
            When::Now { refuse: true } => return Verdict::Cut(manner),
            When::BeforeRequest => (Direction::Request, Verdict::Cut(manner)),
            When::AfterRequest => (Direction::Request, Verdict::CutAfterRequest(manner)),
            When::BeforeResponse => (Direction::Response, Verdict::Cut(manner)),
            When::MidResponse { after } => {
                (Direction::Response, Verdict::CutMidResponse(manner, after))
            }
        };
        if on != message.direction {
            return Verdict::Pass;
        }
        self.take(target, message, connection).map_or(Verdict::Pass, |_| verdict)
    }

    /// The number of the message among those that fit, if it is one that is meant.
    fn take(&self, target: &Target, message: &Message, connection: ConnectionId) -> Option<u64> {
        if !target.fits(message, connection) {
            return None;
        }
        let number = self.matched.fetch_add(1, Ordering::Relaxed);
        target.takes(number).then_some(number)
    }

    /// Whether it stalls this direction, if not of all connections.
    pub(super) fn stalls(&self, direction: Direction) -> bool {
        matches!(&self.setting, Setting::Stall { on, .. } if on.is_none_or(|on| on == direction))
    }

    /// Whether nothing at all passes in this direction.
    pub(super) fn stalls_all(&self, direction: Direction) -> bool {
        let whole = matches!(&self.setting, Setting::Stall { target, .. } if target.is_whole());
        whole && self.stalls(direction)
    }
}

/// The random numbers of the n-th message. The odd factor spreads neighbours over all bits.
fn random(seed: u64, number: u64) -> fastrand::Rng {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    fastrand::Rng::with_seed(seed ^ number.wrapping_add(1).wrapping_mul(STEP))
}
