//! What the tests of this module share: endpoints by number, and a target that takes its time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use updraft_resilience::{Instant, ManualClock};
use updraft_system::Name;
use updraft_system::mesh::{Balance, BreakerPolicy, Calls, EndpointConfig, EndpointTls, Share};

use super::{Balancer, Outcome, Pick, Want};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const START: Instant = Instant::from_nanos(1_000_000_000_000);

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(super) fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], u16::try_from(9000 + number).unwrap()))
}

pub(super) fn number(address: SocketAddr) -> usize {
    usize::from(address.port()) - 9000
}

pub(super) fn endpoint(number: usize) -> EndpointConfig {
    EndpointConfig {
        address: address(number),
        incarnation: 0,
        version: None,
        weight: 1,
        tls: EndpointTls::Off,
    }
}

pub(super) fn endpoints(count: usize) -> Vec<EndpointConfig> {
    (0..count).map(endpoint).collect()
}

pub(super) fn weighted(weights: &[u32]) -> Vec<EndpointConfig> {
    let of =
        |(number, weight): (usize, &u32)| EndpointConfig { weight: *weight, ..endpoint(number) };
    weights.iter().enumerate().map(of).collect()
}

/// One failure opens a breaker.
pub(super) fn brittle(balance: Balance, at_most: Share) -> Calls {
    let breaker = BreakerPolicy { consecutive: 1, at_most, ..BreakerPolicy::default() };
    Calls { balance, breaker, ..Calls::default() }
}

pub(super) fn hashing() -> Balance {
    "header:x-user".parse().unwrap()
}

pub(super) fn every_way() -> [Balance; 3] {
    [Balance::LeastRequest, Balance::RoundRobin, hashing()]
}

pub(super) fn calls(balance: Balance) -> Calls {
    Calls { balance, ..Calls::default() }
}

pub(super) fn balancer(calls: &Calls, endpoints: &[EndpointConfig]) -> (Balancer, ManualClock) {
    let hand = ManualClock::new();
    (Balancer::new(calls, endpoints, hand.clock()).unwrap(), hand)
}

/// The number of the endpoint that was chosen, for an attempt that ends at once without a trace.
pub(super) fn glance(pick: Pick, now: Instant) -> usize {
    let number = number(pick.endpoint().address);
    pick.finish(Outcome::Ignored, now);
    number
}

/// Opens the breakers of these endpoints of [`brittle`] calls, one second after the other.
pub(super) fn open(balancer: &Balancer, numbers: &[usize], hand: &ManualClock) {
    let roster = balancer.roster.load_full();
    for number in numbers {
        let endpoint = roster.endpoint(address(*number));
        let pick = Pick::admitted(&endpoint, hand.now()).unwrap();
        assert!(pick.finish(Outcome::Failure, hand.now()).is_some());
        hand.advance(Duration::from_millis(10));
    }
}

/// So many callers, each with one request at a time, until there were `requests`. Gives how many
/// each endpoint got.
pub(super) fn load(
    balancer: &Balancer,
    callers: usize,
    requests: usize,
    mut takes: impl FnMut(usize) -> Duration,
) -> Vec<usize> {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut got = vec![0; balancer.snapshot(START).len()];
    let mut running: BinaryHeap<Reverse<(Instant, usize)>> =
        (0..callers).map(|caller| Reverse((START, caller))).collect();
    let mut picks: Vec<Option<Pick>> = (0..callers).map(|_| None).collect();
    for _ in 0..requests {
        let Reverse((now, caller)) = running.pop().unwrap();
        if let Some(pick) = picks[caller].take() {
            pick.finish(Outcome::Success, now);
        }
        let hash = Some(rng.u64(..));
        let pick = balancer.choose(&Want { hash, ..Want::any(now) }, &mut rng).unwrap();
        let number = number(pick.endpoint().address);
        got[number] += 1;
        picks[caller] = Some(pick);
        running.push(Reverse((now + takes(number), caller)));
    }
    got
}
