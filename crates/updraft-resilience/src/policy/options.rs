//! What a single call may ask for.

use crate::Priority;

/// Wishes of one call; the default asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallOptions {
    pub(crate) priority: Priority,
    pub(crate) may_repeat: bool,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self { priority: Priority::default(), may_repeat: true }
    }
}

impl CallOptions {
    /// No wishes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Who goes first where there is a queue, and who is shed last. Normal by default.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// This call may be run once at most: no retries and no hedges, whatever the policy has.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.may_repeat = false;
        self
    }
}
