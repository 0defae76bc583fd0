//! The endpoints of a cluster at one moment, prepared for choosing. It never changes: an update
//! makes another one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use updraft_resilience::breaker::{Breaker, BreakerConfig, OpenFor, Trip};
use updraft_resilience::{Clock, Instant, Invalid};
use updraft_system::Name;
use updraft_system::mesh::{Balance, BreakerPolicy, Calls, EndpointConfig};

use super::group::{Group, Member};
use super::{Endpoint, EndpointSnapshot, NoEndpoint};

/// The longest that a breaker stays open, unless its first time is longer.
const OPEN_LONGEST: Duration = Duration::from_secs(60);
/// The shortest that it can be told to.
const OPEN_SHORTEST: Duration = Duration::from_millis(1);

/// The endpoints of a cluster at one moment.
#[derive(Debug)]
pub(super) struct Roster {
    /// What it was made of, to know an update that changes nothing.
    source: (Balance, BreakerPolicy, Vec<EndpointConfig>),
    /// All, in the order of their addresses, which is the same for all gateways.
    members: Vec<Member>,
    all: Group,
    /// A handful: gone through in order.
    versions: Vec<(Name, Group)>,
}

impl Roster {
    /// Makes it anew, with the endpoints of the old one that stay.
    pub(super) fn new(
        calls: &Calls,
        endpoints: &[EndpointConfig],
        old: Option<&Self>,
        clock: &Clock,
    ) -> Result<Self, Invalid> {
        let kept = old.filter(|old| opens_alike(&old.source.1, &calls.breaker));
        let members = members(calls, endpoints, kept, clock)?;
        let group = |members: &[Member]| Group::new(members, &calls.balance, calls.breaker.at_most);
        let mut names: Vec<&Name> =
            members.iter().filter_map(|member| member.endpoint.version.as_ref()).collect();
        names.sort_unstable();
        names.dedup();
        let versions = names.into_iter().map(|name| {
            let of_version = |member: &&Member| member.endpoint.version.as_ref() == Some(name);
            let members: Vec<Member> = members.iter().filter(of_version).cloned().collect();
            (name.clone(), group(&members))
        });
        Ok(Self {
            source: (calls.balance.clone(), calls.breaker.clone(), endpoints.to_vec()),
            versions: versions.collect(),
            all: group(&members),
            members,
        })
    }

    /// Whether it would be made just like this.
    pub(super) fn is_of(&self, calls: &Calls, endpoints: &[EndpointConfig]) -> bool {
        let (balance, breaker, source) = &self.source;
        *balance == calls.balance && *breaker == calls.breaker && source == endpoints
    }

    /// The endpoints of a version; all when none is asked for.
    #[inline]
    pub(super) fn group(&self, version: Option<&Name>) -> Result<&Group, NoEndpoint> {
        let Some(version) = version else { return Ok(&self.all) };
        let group = self.versions.iter().find(|(name, _)| name == version);
        match group {
            Some((_, group)) if !group.is_empty() => Ok(group),
            _ if self.all.is_empty() => Err(NoEndpoint::Empty),
            _ => Err(NoEndpoint::NoVersion(version.clone())),
        }
    }

    pub(super) fn snapshot(&self, now: Instant) -> Vec<EndpointSnapshot> {
        let of = |member: &Member| {
            let left_alone = self.all.leaves_alone(&member.endpoint, now);
            EndpointSnapshot::of(&member.endpoint, member.weight, left_alone, now)
        };
        self.members.iter().map(of).collect()
    }
}

/// The endpoints of a list, each once, in order.
fn members(
    calls: &Calls,
    endpoints: &[EndpointConfig],
    old: Option<&Roster>,
    clock: &Clock,
) -> Result<Vec<Member>, Invalid> {
    let known: HashMap<(_, _), Vec<&Arc<Endpoint>>> =
        old.into_iter().flat_map(|old| &old.members).fold(HashMap::new(), |mut known, member| {
            let endpoint = &member.endpoint;
            let key = (endpoint.address, endpoint.incarnation);
            known.entry(key).or_default().push(endpoint);
            known
        });
    let config = breaker_config(&calls.breaker);
    let mut ordered: Vec<&EndpointConfig> = endpoints.iter().collect();
    ordered.sort_by_key(|config| (config.address, config.incarnation));
    let mut members: Vec<Member> = Vec::with_capacity(ordered.len());
    let mut joined = Vec::new();
    for endpoint in ordered {
        // In order, so that the same one would be among the last.
        let again = members.iter().rev().take_while(|m| m.endpoint.address == endpoint.address);
        if again.into_iter().any(|member| member.endpoint.is_of(endpoint)) {
            continue;
        }
        let lives = known.get(&(endpoint.address, endpoint.incarnation));
        let same = lives.and_then(|lives| lives.iter().find(|life| life.is_of(endpoint)));
        let life = match same {
            Some(life) => Arc::clone(life),
            None => {
                let breaker = Breaker::new(config.clone())?;
                let new = Arc::new(Endpoint::new(endpoint, breaker, clock.clone()));
                joined.push(Arc::clone(&new));
                new
            }
        };
        members.push(Member { endpoint: life, weight: endpoint.weight });
    }
    // Where all are new, there is nobody to take the rest of the load.
    if joined.len() < members.len() {
        let now = clock.now();
        joined.iter().for_each(|endpoint| endpoint.start_slowly(now));
    }
    Ok(members)
}

/// Whether two policies open breakers alike; how many may be open is not their business.
fn opens_alike(one: &BreakerPolicy, other: &BreakerPolicy) -> bool {
    let key = |policy: &BreakerPolicy| (policy.consecutive, policy.failures, policy.open_for);
    key(one) == key(other)
}

/// The breaker of each endpoint: after so many failures in a row, or at a rate of failures over
/// 10 s and at least 20 calls; one probe at a time. A number of 0 turns a reason off.
fn breaker_config(policy: &BreakerPolicy) -> BreakerConfig {
    let in_a_row =
        Trip::consecutive(if policy.consecutive == 0 { u32::MAX } else { policy.consecutive });
    let rate = policy.failures.ratio();
    let trips = if rate > 0.0 { vec![in_a_row, Trip::failure_rate(rate)] } else { vec![in_a_row] };
    let first = policy.open_for.max(OPEN_SHORTEST);
    let open_for = OpenFor { first, factor: 2.0, max: first.max(OPEN_LONGEST) };
    BreakerConfig::any_of(trips).open_for(open_for)
}

#[cfg(test)]
impl Roster {
    /// The endpoint of an address.
    pub(super) fn endpoint(&self, address: std::net::SocketAddr) -> Arc<Endpoint> {
        let found = self.members.iter().find(|member| member.endpoint.address == address);
        Arc::clone(&found.expect("a member").endpoint)
    }
}
