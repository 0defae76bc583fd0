//! Which endpoint of a cluster an attempt goes to.
//!
//! One [`Balancer`] serves one edge, as policies differ from edge to edge. It is shared by the
//! data threads of a gateway: choosing takes no lock and no memory. [`Balancer::update`] takes
//! the full list of endpoints, and those that stay keep their statistics and their breaker.
//!
//! An attempt goes through these steps:
//!
//! 1. the version it wants, by rule or by [`VersionSplit`], narrows the endpoints to a group;
//! 2. the way of balancing ([`Balance`](updraft_system::mesh::Balance)) proposes an endpoint:
//!    least request ([`group`]), round robin ([`rotation`]) or consistent hashing ([`maglev`]);
//! 3. an endpoint whose breaker is not closed, or that this call has tried already, is passed
//!    over ([`ejection`] has the rule of how many may be); one that has just joined or asked
//!    for less load gets a part of its share ([`endpoint`]);
//! 4. the breaker admits the attempt, and a [`Pick`] follows it until it is over.

mod ejection;
mod endpoint;
#[cfg(test)]
mod fixture;
mod group;
mod hash;
mod latency;
mod maglev;
mod pick;
mod roster;
mod rotation;
mod sampler;
mod snapshot;
mod split;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use updraft_resilience::{Clock, Instant, Invalid};
use updraft_system::Name;
use updraft_system::mesh::{Calls, EndpointConfig};

pub(crate) use endpoint::Endpoint;
pub(crate) use hash::key_hash;
pub(crate) use pick::{Outcome, Pick};
pub(crate) use snapshot::EndpointSnapshot;
pub(crate) use split::VersionSplit;

use roster::Roster;

/// The endpoints of one cluster, as one edge sees them.
#[derive(Debug)]
pub(crate) struct Balancer {
    roster: ArcSwap<Roster>,
    /// One update at a time, so that no endpoint begins two lives. Never taken to choose.
    turn: Mutex<()>,
    clock: Clock,
}

/// What an attempt asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want<'a> {
    /// Only endpoints of this version.
    pub(crate) version: Option<&'a Name>,
    /// The [`key_hash`] of the request's key. Where the edge hashes and a request has no key,
    /// it goes where the least requests are.
    pub(crate) hash: Option<u64>,
    /// The endpoints that this call has tried: chosen again only when there is no other.
    pub(crate) avoid: &'a [Arc<Endpoint>],
    /// The present moment, of the clock that the balancer was made with.
    pub(crate) now: Instant,
}

impl Want<'_> {
    /// Any endpoint.
    pub(crate) const fn any(now: Instant) -> Self {
        Self { version: None, hash: None, avoid: &[], now }
    }

    fn avoids(&self, endpoint: &Endpoint) -> bool {
        !self.avoid.is_empty() && self.avoid.iter().any(|tried| **tried == *endpoint)
    }
}

/// There is nowhere to go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoEndpoint {
    /// The cluster has none.
    #[error("no endpoint is ready")]
    Empty,
    /// The cluster has none of this version.
    #[error("no endpoint of version `{0}` is ready")]
    NoVersion(Name),
    /// All have failed, and are left alone.
    #[error("every endpoint has failed; the next is tried in {} ms", retry_after.as_millis())]
    Open {
        /// When the first of them is tried again.
        retry_after: Duration,
    },
}

impl Balancer {
    /// A balancer of these endpoints. All moments that it is told must be of `clock`; for
    /// latencies below the tick of the kernel it must be a finer clock than
    /// [`Clock::system`].
    ///
    /// # Errors
    ///
    /// [`Invalid`] when no breaker can be made of the policy.
    pub(crate) fn new(
        calls: &Calls,
        endpoints: &[EndpointConfig],
        clock: Clock,
    ) -> Result<Self, Invalid> {
        let roster = Roster::new(calls, endpoints, None, &clock)?;
        Ok(Self { roster: ArcSwap::from_pointee(roster), turn: Mutex::new(()), clock })
    }

    /// Replaces the list of endpoints and the policy by these. An endpoint with the same
    /// address, incarnation, TLS and version goes on with all its state, unless what opens
    /// its breaker has changed. Endpoints that join others start slowly. An update that
    /// changes nothing does nothing.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when no breaker can be made of the policy; then all stays as it was.
    pub(crate) fn update(
        &self,
        calls: &Calls,
        endpoints: &[EndpointConfig],
    ) -> Result<(), Invalid> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.roster.load_full();
        if !old.is_of(calls, endpoints) {
            let new = Roster::new(calls, endpoints, Some(&old), &self.clock)?;
            self.roster.store(Arc::new(new));
        }
        Ok(())
    }

    /// The endpoint for an attempt. Takes no lock and no memory, unless it fails or a breaker
    /// changes its state.
    ///
    /// # Errors
    ///
    /// [`NoEndpoint`] when there is nowhere to go.
    pub(crate) fn choose(
        &self,
        want: &Want<'_>,
        rng: &mut fastrand::Rng,
    ) -> Result<Pick, NoEndpoint> {
        self.roster.load().group(want.version)?.choose(want, rng)
    }

    /// What is known of each endpoint, in the order of their addresses.
    pub(crate) fn snapshot(&self, now: Instant) -> Vec<EndpointSnapshot> {
        self.roster.load().snapshot(now)
    }
}

#[cfg(test)]
#[path = "balance/balancer_tests.rs"]
mod tests;
