//! The stabilization windows of a rule: of all wishes of a time, the least and the greatest.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The extreme of what was wished within a time. It holds only wishes that can still become
/// the extreme, so never more than there are different numbers of copies.
#[derive(Debug)]
pub(super) struct Window {
    length: Duration,
    /// Which of two wishes makes the other needless when it comes later.
    beats: fn(u32, u32) -> bool,
    wishes: VecDeque<(Instant, u32)>,
}

impl Window {
    /// The greatest wish of the last `length`.
    pub(super) fn greatest(length: Duration) -> Self {
        Self { length, beats: |later, earlier| earlier <= later, wishes: VecDeque::new() }
    }

    /// The least wish of the last `length`.
    pub(super) fn least(length: Duration) -> Self {
        Self { length, beats: |later, earlier| later <= earlier, wishes: VecDeque::new() }
    }

    /// Adds a wish; gives the extreme of all that are younger than the window, this one too.
    pub(super) fn add(&mut self, now: Instant, wish: u32) -> u32 {
        while self.wishes.back().is_some_and(|(_, earlier)| (self.beats)(wish, *earlier)) {
            self.wishes.pop_back();
        }
        self.wishes.push_back((now, wish));
        while self.wishes.len() > 1
            && self.wishes.front().is_some_and(|(at, _)| self.length <= now.duration_since(*at))
        {
            self.wishes.pop_front();
        }
        self.wishes.front().map_or(wish, |(_, wish)| *wish)
    }
}
