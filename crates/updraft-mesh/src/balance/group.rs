//! The endpoints that one attempt may go to, and how one of them is chosen.
//!
//! Least request, the default, takes the better of two by chance (Mitzenmacher, *The Power of
//! Two Choices in Randomized Load Balancing*, 2001), which needs no common view of all
//! endpoints and lets no crowd run to the one that looks best. The first is drawn in proportion
//! to weights, the second among all others alike. The second is better
//!
//! * when it would have less in flight per weight, with this attempt, than the first has now
//!   (for equal weights: when it has less in flight). So weights hold exactly where so little
//!   is in flight that it tells nothing, and the numbers in flight settle in proportion to the
//!   weights under load;
//! * when their latencies differ by more than a factor of two: when its
//!   `latency × (in flight / weight + 1)` is lower, with weights relative to their mean. The
//!   latency is the peak-sensitive average of Finagle and linkerd2-proxy, and for equal weights
//!   this is their score. They use it for any difference; but so much as a factor of two is
//!   chance in an average that minds peaks, and would outweigh every weight.
//!
//! An endpoint that has not answered yet counts as quick as the other, so that it is tried, and
//! what it has in flight keeps it from being flooded.
//!
//! The usual case looks at two endpoints only. When one of them is not plainly well, the
//! whole group is surveyed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use updraft_resilience::Instant;
use updraft_resilience::breaker::State;
use updraft_system::mesh::{Balance, Share};

use super::ejection::Standing;
use super::endpoint::OVERLOADED_SHARE;
use super::hash::{mixed, unit};
use super::maglev::Maglev;
use super::pick::Pick;
use super::rotation::Rotation;
use super::sampler::Sampler;
use super::{Endpoint, NoEndpoint, Want};

/// How often chance is asked for an endpoint before the whole group is surveyed.
const DRAWS: usize = 4;
/// Latencies within this factor of each other count as equal.
const SIMILAR: f64 = 2.0;
/// Makes the decision whether a key leaves an overloaded endpoint independent of its home.
const LEAVING: u64 = 0x9E37_79B9_7F4A_7C15;

/// An endpoint as a member of a group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) weight: u32,
}

/// The endpoints that one attempt may go to.
#[derive(Debug)]
pub(super) struct Group {
    members: Box<[Member]>,
    /// The mean of their weights.
    mean: f64,
    sampler: Sampler,
    method: Method,
    at_most: Share,
}

#[derive(Debug)]
enum Method {
    LeastRequest,
    RoundRobin(Rotation),
    Hash(Box<Maglev>),
}

/// Which endpoints a survey minds.
#[derive(Clone, Copy, Debug)]
struct Survey {
    /// Not those that this call has tried.
    fresh: bool,
    /// Those that get a part of their share only as often as that.
    reduced: bool,
}

/// From the best endpoints to those that are better than none.
const SURVEYS: [Survey; 3] = [
    Survey { fresh: true, reduced: true },
    Survey { fresh: true, reduced: false },
    Survey { fresh: false, reduced: false },
];

impl Group {
    /// A group of these, but not of those without weight.
    pub(super) fn new(members: &[Member], balance: &Balance, at_most: Share) -> Self {
        let members: Box<[Member]> =
            members.iter().filter(|member| member.weight > 0).cloned().collect();
        let weights: Vec<u32> = members.iter().map(|member| member.weight).collect();
        let total: f64 = weights.iter().copied().map(f64::from).sum();
        let method = match balance {
            Balance::LeastRequest => Method::LeastRequest,
            Balance::RoundRobin => Method::RoundRobin(Rotation::new(&weights, fastrand::usize(..))),
            Balance::Hash(_) => {
                let endpoints: Vec<_> =
                    members.iter().map(|member| (member.endpoint.address, member.weight)).collect();
                Method::Hash(Box::new(Maglev::new(&endpoints)))
            }
        };
        let sampler = Sampler::new(&weights);
        Self { mean: total / members.len() as f64, members, sampler, method, at_most }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether an endpoint is left alone now because of its breaker.
    pub(super) fn leaves_alone(&self, endpoint: &Endpoint, now: Instant) -> bool {
        let place = self.members.iter().position(|member| *member.endpoint == *endpoint);
        let standing = Standing::of(&self.members, self.at_most, now);
        place.is_some_and(|place| !standing.is_usable(&self.members, place, now))
    }

    pub(super) fn choose(
        &self,
        want: &Want<'_>,
        rng: &mut fastrand::Rng,
    ) -> Result<Pick, NoEndpoint> {
        let proposed = match (&self.method, want.hash) {
            (Method::RoundRobin(rotation), _) => self.in_turn(rotation, want, rng),
            (Method::Hash(table), Some(hash)) => self.at_home(table, hash, want),
            _ => self.better_of_two(want, rng),
        };
        match proposed {
            Some(pick) => Ok(pick),
            None => self.survey(want, rng),
        }
    }

    /// Least request, as long as both that chance proposes are plainly well.
    #[inline]
    fn better_of_two(&self, want: &Want<'_>, rng: &mut fastrand::Rng) -> Option<Pick> {
        let first = self.draw(want, rng)?;
        let place = match self.draw_other(first, want, rng)? {
            Some(second) => self.better(first, second, want.now),
            None => first,
        };
        Pick::admitted(&self.members.get(place)?.endpoint, want.now).ok()
    }

    /// An endpoint by chance, in proportion to weights and shares.
    #[inline]
    fn draw(&self, want: &Want<'_>, rng: &mut fastrand::Rng) -> Option<usize> {
        for _ in 0..DRAWS {
            let place = self.sampler.draw(rng);
            let endpoint = &self.members.get(place)?.endpoint;
            if endpoint.state(want.now) != State::Closed {
                return None;
            }
            if !want.avoids(endpoint) && is_present(endpoint, want.now, rng) {
                return Some(place);
            }
        }
        None
    }

    /// Another one, whatever its weight. `Some(None)`: that one is not for this attempt, and the
    /// first needs no comparison. No other is drawn, because an endpoint that gets a part of its
    /// share would then come nearly always among few.
    #[inline]
    fn draw_other(
        &self,
        first: usize,
        want: &Want<'_>,
        rng: &mut fastrand::Rng,
    ) -> Option<Option<usize>> {
        let others = self.members.len() - 1;
        if others == 0 {
            return Some(None);
        }
        let drawn = rng.usize(..others);
        let place = if drawn < first { drawn } else { drawn + 1 };
        let endpoint = &self.members.get(place)?.endpoint;
        if endpoint.state(want.now) != State::Closed {
            return None;
        }
        let takes_part = !want.avoids(endpoint) && is_present(endpoint, want.now, rng);
        Some(takes_part.then_some(place))
    }

    /// The better of two; the first when nothing speaks for the second.
    #[inline]
    fn better(&self, first: usize, second: usize, now: Instant) -> usize {
        let (Some(one), Some(other)) = (self.members.get(first), self.members.get(second)) else {
            return first;
        };
        let ((one_load, _), (other_load, other_step)) =
            (self.load(one, now), self.load(other, now));
        let latency = |member: &Member| member.endpoint.latency.seconds(now).map(f64::from);
        let second_is_better = match (latency(one), latency(other)) {
            (Some(one), Some(other)) if one > SIMILAR * other || other > SIMILAR * one => {
                other * (other_load + 1.0) < one * (one_load + 1.0)
            }
            _ => other_load + other_step <= one_load,
        };
        if second_is_better { second } else { first }
    }

    /// What is in flight per weight, in units of the mean weight, and what one more would add.
    #[inline]
    fn load(&self, member: &Member, now: Instant) -> (f64, f64) {
        let in_flight = f64::from(member.endpoint.in_flight.load(Ordering::Relaxed));
        let step = self.mean / (f64::from(member.weight) * member.endpoint.share(now));
        (in_flight * step, step)
    }

    fn in_turn(
        &self,
        rotation: &Rotation,
        want: &Want<'_>,
        rng: &mut fastrand::Rng,
    ) -> Option<Pick> {
        let turns = (0..rotation.len()).map_while(|_| rotation.turn());
        self.first(turns, want, |endpoint| is_present(endpoint, want.now, rng))
    }

    /// Keys leave an overloaded endpoint, and always the same keys, until it is well. One that
    /// starts slowly has its keys at once: to move them elsewhere for a while would only cost.
    fn at_home(&self, table: &Maglev, hash: u64, want: &Want<'_>) -> Option<Pick> {
        let stays = unit(mixed(hash ^ LEAVING)) < OVERLOADED_SHARE;
        let well = |endpoint: &Endpoint| stays || !endpoint.is_overloaded(want.now);
        let at_home = self.first(table.places(hash), want, well);
        at_home.or_else(|| self.first(table.places(hash), want, |_| true))
    }

    /// The first of these places that may be used; one whose breaker is closed only if it is
    /// accepted.
    fn first(
        &self,
        places: impl Iterator<Item = usize>,
        want: &Want<'_>,
        mut accept: impl FnMut(&Endpoint) -> bool,
    ) -> Option<Pick> {
        let now = want.now;
        let mut standing = None;
        for place in places {
            let endpoint = &self.members.get(place)?.endpoint;
            if want.avoids(endpoint) {
                continue;
            }
            match endpoint.state(now) {
                State::Closed if !accept(endpoint) => continue,
                State::Open => {}
                State::Closed | State::HalfOpen => {
                    if let Ok(pick) = Pick::admitted(endpoint, now) {
                        return Some(pick);
                    }
                }
            }
            let standing =
                *standing.get_or_insert_with(|| Standing::of(&self.members, self.at_most, now));
            if standing.closed == 0 {
                return None;
            }
            if standing.is_usable(&self.members, place, now) {
                return Some(Pick::forced(endpoint, now));
            }
        }
        None
    }

    /// Looks at all endpoints, because the first that were looked at would not do.
    #[cold]
    fn survey(&self, want: &Want<'_>, rng: &mut fastrand::Rng) -> Result<Pick, NoEndpoint> {
        let now = want.now;
        let probes = self.members.iter().filter(|member| {
            !want.avoids(&member.endpoint) && member.endpoint.state(now) == State::HalfOpen
        });
        for member in probes {
            if let Ok(pick) = Pick::admitted(&member.endpoint, now) {
                return Ok(pick);
            }
        }
        let standing = Standing::of(&self.members, self.at_most, now);
        if standing.closed > 0 {
            for survey in SURVEYS {
                let place = self.best(standing, survey, want, rng);
                if let Some(member) = place.and_then(|place| self.members.get(place)) {
                    return Ok(Pick::forced(&member.endpoint, now));
                }
            }
        }
        self.probe_any(now)
    }

    /// The better of two among all that may be used. The two are drawn without replacement in
    /// proportion to weights, in one pass: those with the least exponential variates of these
    /// rates (Efraimidis and Spirakis, *Weighted random sampling with a reservoir*, 2006).
    fn best(
        &self,
        standing: Standing,
        survey: Survey,
        want: &Want<'_>,
        rng: &mut fastrand::Rng,
    ) -> Option<usize> {
        let (mut first, mut second) = ((f64::INFINITY, None), (f64::INFINITY, None));
        for (place, member) in self.members.iter().enumerate() {
            let passed_over = !standing.is_usable(&self.members, place, want.now)
                || (survey.fresh && want.avoids(&member.endpoint))
                || (survey.reduced && !is_present(&member.endpoint, want.now, rng));
            if passed_over {
                continue;
            }
            let key = -unit(rng.u64(..)).ln() / f64::from(member.weight);
            if key < first.0 {
                second = first;
                first = (key, Some(place));
            } else if key < second.0 {
                second = (key, Some(place));
            }
        }
        match (first.1, second.1) {
            (Some(first), Some(second)) => Some(self.better(first, second, want.now)),
            (first, _) => first,
        }
    }

    /// No breaker is closed: whichever lets a probe through, or the time until one does.
    fn probe_any(&self, now: Instant) -> Result<Pick, NoEndpoint> {
        let mut retry_after = Duration::MAX;
        for member in &self.members {
            match Pick::admitted(&member.endpoint, now) {
                Ok(pick) => return Ok(pick),
                Err(left) => retry_after = retry_after.min(left),
            }
        }
        Err(if self.is_empty() { NoEndpoint::Empty } else { NoEndpoint::Open { retry_after } })
    }
}

/// Whether an endpoint takes part this time: always, or as often as its share says.
#[inline]
fn is_present(endpoint: &Endpoint, now: Instant, rng: &mut fastrand::Rng) -> bool {
    let share = endpoint.share(now);
    share >= 1.0 || rng.f64() < share
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
