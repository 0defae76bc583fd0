//! Signs of life of loops: one that accepts connections can hang while everything else in
//! the process is well, and then nobody who asks elsewhere would know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// From one beat to the next at most …
const BEAT_MOST: Duration = Duration::from_millis(500);

/// … and at least.
const BEAT_LEAST: Duration = Duration::from_millis(10);

/// From one beat to the next, so that each look of the watchdog meets several.
pub(super) fn between(looks: Duration) -> Duration {
    match looks.is_zero() {
        // Nobody looks.
        true => BEAT_MOST,
        false => (looks / 4).clamp(BEAT_LEAST, BEAT_MOST),
    }
}

const RUNNING: u8 = 0;
/// The loop has ended as it should.
const DONE: u8 = 1;
/// The loop has panicked.
const DEAD: u8 = 2;

/// The side of the loop. Dropped, the loop has ended.
#[derive(Debug)]
pub(crate) struct Beat {
    heart: Arc<Heart>,
    every: Duration,
    interval: Option<Interval>,
}

/// The side of the watchdog.
#[derive(Debug)]
pub(super) struct Heart {
    name: &'static str,
    beats: AtomicU64,
    /// Beats at the last look.
    seen: AtomicU64,
    state: AtomicU8,
}

impl Beat {
    pub(super) fn new(name: &'static str, every: Duration) -> (Self, Arc<Heart>) {
        let heart = Arc::new(Heart {
            name,
            beats: AtomicU64::new(1),
            seen: AtomicU64::new(0),
            state: AtomicU8::new(RUNNING),
        });
        (Self { heart: Arc::clone(&heart), every, interval: None }, heart)
    }

    /// Waits for the next beat and gives it. One branch of the loop's `select!`; it is safe
    /// to drop.
    pub(crate) async fn next(&mut self) {
        let every = self.every;
        let interval = self.interval.get_or_insert_with(|| {
            let mut interval = interval(every);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        interval.tick().await;
        self.heart.beats.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        let state = if std::thread::panicking() { DEAD } else { DONE };
        self.heart.state.store(state, Ordering::Relaxed);
    }
}

impl Heart {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn is_done(&self) -> bool {
        self.state.load(Ordering::Relaxed) == DONE
    }

    /// Whether it has not beaten since the last look, or never will again.
    pub(super) fn is_silent(&self) -> bool {
        let beats = self.beats.load(Ordering::Relaxed);
        let before = self.seen.swap(beats, Ordering::Relaxed);
        self.state.load(Ordering::Relaxed) == DEAD || beats == before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_heart_is_silent_when_its_loop_stands_still_or_has_died() {
        let (mut beat, heart) = Beat::new("loop", BEAT_MOST);
        assert!(!heart.is_silent(), "it has just begun");
        assert!(heart.is_silent());
        beat.next().await;
        beat.next().await;
        assert!(!heart.is_silent());
        drop(beat);
        assert!(heart.is_done(), "an end that was meant is no death");

        let (beat, heart) = Beat::new("loop", BEAT_MOST);
        let died = tokio::spawn(async move {
            let _beat = beat;
            panic!("on purpose");
        });
        assert!(died.await.is_err());
        assert!(!heart.is_done() && heart.is_silent() && heart.is_silent());
    }
}
