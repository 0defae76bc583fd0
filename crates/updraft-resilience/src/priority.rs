//! How important a call is, for every policy that must choose whom to serve when it cannot
//! serve all: one scale, so that a call has the same weight everywhere.

/// How much it matters that a call is served; a greater one matters more.
///
/// Five levels, as in failsafe-go's `priority` package. Four of them are the criticalities of
/// "Handling Overload" (Site Reliability Engineering, chapter 21); [`High`](Self::High) stands
/// between two of those, like the only level above the default in Envoy's routes.
///
/// | here | SRE book | failsafe-go |
/// |---|---|---|
/// | [`Critical`](Self::Critical) | `CRITICAL_PLUS` | `VeryHigh` |
/// | [`High`](Self::High) | | `High` |
/// | [`Normal`](Self::Normal) | `CRITICAL` | `Medium` |
/// | [`Low`](Self::Low) | `SHEDDABLE_PLUS` | `Low` |
/// | [`Background`](Self::Background) | `SHEDDABLE` | `VeryLow` |
///
/// ```
/// use updraft_resilience::Priority;
///
/// assert!(Priority::Critical > Priority::default());
/// assert!(Priority::Background < Priority::Low);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Priority {
    /// Nobody waits for it, and it may often fail.
    Background,
    /// Batch work that can be tried again in minutes or hours.
    Low,
    /// What a user notices: the level of calls that say nothing.
    #[default]
    Normal,
    /// Goes before ordinary calls.
    High,
    /// Failure would do serious harm; capacity is planned for all of it.
    Critical,
}

impl Priority {
    /// Every level, the least important first.
    pub const ALL: [Self; 5] =
        [Self::Background, Self::Low, Self::Normal, Self::High, Self::Critical];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_are_listed_from_the_least_important() {
        assert!(Priority::ALL.is_sorted());
        assert_eq!(Priority::default(), Priority::Normal);
    }
}
