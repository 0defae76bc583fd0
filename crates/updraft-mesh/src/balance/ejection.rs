//! How many endpoints may be left alone at once.
//!
//! Breakers open for reasons that endpoints may share: a bad release, a broken database behind
//! all of them. Leaving most endpoints alone then moves the whole load onto the last one, and
//! takes it down as well. So of n endpoints at most `at_most` × n, rounded down, are left alone
//! (Envoy's `max_ejection_percent`); beyond that, those whose breaker opened last are used as
//! if it were closed, and of those that opened at one moment the first of the list. Whoever
//! fails its probe opens last, so the burden goes round.
//!
//! When no breaker is closed there is nobody to protect: then the circuit of the whole edge is
//! open, and only probes go through. One endpoint alone is such a case: its breaker decides.

use updraft_resilience::Instant;
use updraft_resilience::breaker::State;
use updraft_system::mesh::Share;

use super::group::Member;

/// The breakers of a group at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Endpoints whose breaker is closed.
    pub(super) closed: usize,
    /// Endpoints that are used although their breaker is not closed.
    pub(super) spared: usize,
}

impl Standing {
    pub(super) fn of(members: &[Member], at_most: Share, now: Instant) -> Self {
        let closed = members.iter().filter(|member| is_closed(member, now)).count();
        let out = members.len() - closed;
        let spared = if closed == 0 { 0 } else { out.saturating_sub(cap(members.len(), at_most)) };
        Self { closed, spared }
    }

    /// Whether the endpoint at this place may be used like any other.
    pub(super) fn is_usable(self, members: &[Member], index: usize, now: Instant) -> bool {
        members.get(index).is_some_and(|member| is_closed(member, now))
            || self.is_spared(members, index, now)
    }

    fn is_spared(self, members: &[Member], index: usize, now: Instant) -> bool {
        if self.spared == 0 {
            return false;
        }
        let Some(own) = members.get(index).map(|member| member.endpoint.opened_at()) else {
            return false;
        };
        let before = members.iter().enumerate().filter(|(other, member)| {
            let opened_at = member.endpoint.opened_at();
            let earlier = opened_at > own || (opened_at == own && *other < index);
            earlier && !is_closed(member, now)
        });
        before.count() < self.spared
    }
}

/// How many of `count` endpoints may be left alone.
fn cap(count: usize, at_most: Share) -> usize {
    let parts = usize::try_from(at_most.parts()).unwrap_or_default();
    let whole = usize::try_from(Share::WHOLE).unwrap_or(usize::MAX);
    count.saturating_mul(parts) / whole
}

fn is_closed(member: &Member, now: Instant) -> bool {
    member.endpoint.state(now) == State::Closed
}

#[cfg(test)]
#[path = "ejection_tests.rs"]
mod tests;
