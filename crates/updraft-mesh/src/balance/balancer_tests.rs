//! The balancer over time: lists that change, breakers, endpoints that join or ask for less, and
//! what choosing costs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use allocation_counter::measure;
use updraft_resilience::ManualClock;
use updraft_resilience::breaker::State;
use updraft_system::mesh::{Balance, BreakerPolicy, EndpointConfig, Share};

use super::fixture::*;
use super::*;

fn rng() -> fastrand::Rng {
    fastrand::Rng::with_seed(21)
}

/// How many of 10,000 requests each endpoint gets, one after the other.
fn spread(balancer: &Balancer, count: usize, now: Instant) -> Vec<f64> {
    let (mut rng, mut got) = (rng(), vec![0.0; count]);
    for _ in 0..10_000 {
        let want = Want { hash: Some(rng.u64(..)), ..Want::any(now) };
        got[glance(balancer.choose(&want, &mut rng).unwrap(), now)] += 1e-4;
    }
    got
}

fn fail(balancer: &Balancer, now: Instant, rng: &mut fastrand::Rng) {
    let pick = balancer.choose(&Want::any(now), rng).unwrap();
    pick.finish(Outcome::Failure, now);
}

#[test]
fn without_endpoints_there_is_nowhere_to_go() {
    let mut rng = rng();
    for (way, list) in every_way().into_iter().zip([vec![], weighted(&[0, 0]), vec![]]) {
        let (balancer, hand) = balancer(&calls(way), &list);
        let want = Want { hash: Some(1), ..Want::any(hand.now()) };
        assert_eq!(balancer.choose(&want, &mut rng).unwrap_err(), NoEndpoint::Empty);
        let v1 = name("v1");
        let want = Want { version: Some(&v1), ..want };
        assert_eq!(balancer.choose(&want, &mut rng).unwrap_err(), NoEndpoint::Empty);
    }
}

#[test]
fn a_version_is_kept_to() {
    let of =
        |number, version: &str| EndpointConfig { version: Some(name(version)), ..endpoint(number) };
    let list = [of(0, "v1"), of(1, "v2"), of(2, "v1"), endpoint(3)];
    for way in every_way() {
        let (balancer, hand) = balancer(&calls(way), &list);
        let (mut rng, v1, v3) = (rng(), name("v1"), name("v3"));
        let mut seen = [0; 4];
        for _ in 0..200 {
            let hash = Some(rng.u64(..));
            let want = Want { version: Some(&v1), hash, ..Want::any(hand.now()) };
            seen[glance(balancer.choose(&want, &mut rng).unwrap(), hand.now())] += 1;
        }
        assert!(seen[0] > 0 && seen[2] > 0 && seen[1] + seen[3] == 0, "{seen:?}");
        let want = Want { version: Some(&v3), ..Want::any(hand.now()) };
        assert_eq!(
            balancer.choose(&want, &mut rng).unwrap_err(),
            NoEndpoint::NoVersion(v3.clone())
        );
    }
}

#[test]
fn alternating_versions_do_not_disturb_the_rotation_of_each() {
    let of = |number: usize| EndpointConfig {
        version: Some(name(["a", "b"][number % 2])),
        ..endpoint(number)
    };
    let (balancer, hand) = balancer(&calls(Balance::RoundRobin), &[of(0), of(1), of(2), of(3)]);
    let (mut rng, versions, mut seen) = (rng(), [name("a"), name("b")], [0; 4]);
    for turn in 0..40 {
        let want = Want { version: Some(&versions[turn % 2]), ..Want::any(hand.now()) };
        seen[glance(balancer.choose(&want, &mut rng).unwrap(), hand.now())] += 1;
    }
    assert_eq!(seen, [10; 4]);
}

#[test]
fn failures_in_a_row_open_the_circuit_and_one_probe_closes_it() {
    let (balancer, hand) = balancer(&calls(Balance::LeastRequest), &endpoints(1));
    let mut rng = rng();
    (0..5).for_each(|_| fail(&balancer, hand.now(), &mut rng));
    let refused = balancer.choose(&Want::any(hand.now()), &mut rng).unwrap_err();
    assert_eq!(refused, NoEndpoint::Open { retry_after: 5 * SECOND });
    hand.advance(5 * SECOND);
    let probe = balancer.choose(&Want::any(hand.now()), &mut rng).unwrap();
    assert_eq!(balancer.snapshot(hand.now())[0].breaker, State::HalfOpen);
    assert!(balancer.choose(&Want::any(hand.now()), &mut rng).is_err(), "one probe at a time");
    let change = probe.finish(Outcome::Success, hand.now()).unwrap();
    assert_eq!((change.from, change.to), (State::HalfOpen, State::Closed));
    assert!(balancer.choose(&Want::any(hand.now()), &mut rng).is_ok());
    let share = |now| balancer.snapshot(now)[0].share;
    assert_eq!([share(hand.now()), share(hand.now() + 10 * SECOND)], [0.1, 1.0], "it warms up");
}

#[test]
fn outcomes_mean_to_the_average_what_they_say() {
    let (balancer, hand) = balancer(&calls(Balance::LeastRequest), &endpoints(1));
    let (mut rng, failed, retry_after) = (rng(), true, None);
    let overloaded = Outcome::Overloaded { retry_after, failed };
    for (outcome, took, average) in [
        (Outcome::Ignored, 7000, None),
        (Outcome::Failure, 7000, None),
        (Outcome::Success, 100, Some(100)),
        (Outcome::Failure, 0, Some(100)),
        (overloaded, 0, Some(100)),
        (Outcome::Ignored, 0, Some(100)),
        (Outcome::Failure, 200, Some(200)),
        (overloaded, 300, Some(300)),
    ] {
        let pick = balancer.choose(&Want::any(hand.now()), &mut rng).unwrap();
        hand.advance(Duration::from_millis(took));
        pick.finish(outcome, hand.now());
        let found = balancer.snapshot(hand.now())[0].latency.map(|latency| latency.as_secs_f64());
        let close = |(found, due): (f64, f64)| (found - due / 1e3).abs() < 0.001 * due / 100.0;
        assert_eq!(found.is_some(), average.is_some(), "{outcome:?}");
        assert!(found.zip(average.map(f64::from)).is_none_or(close), "{outcome:?} {found:?}");
    }
}

#[test]
fn the_open_time_doubles_up_to_one_minute() {
    let (balancer, hand) =
        balancer(&brittle(Balance::LeastRequest, Share::percent(50)), &endpoints(1));
    let mut rng = rng();
    for seconds in [5, 10, 20, 40, 60, 60] {
        fail(&balancer, hand.now(), &mut rng);
        let refused = balancer.choose(&Want::any(hand.now()), &mut rng).unwrap_err();
        assert_eq!(refused, NoEndpoint::Open { retry_after: seconds * SECOND });
        hand.advance(seconds * SECOND);
    }
    assert_eq!(balancer.snapshot(hand.now())[0].ejections, 6);
}

#[test]
fn a_rate_of_failures_opens_too_and_both_reasons_can_be_turned_off() {
    let mut rng = rng();
    let alternate = |breaker: BreakerPolicy, rng: &mut fastrand::Rng| {
        let calls = Calls { breaker, ..Calls::default() };
        let (balancer, hand) = balancer(&calls, &endpoints(1));
        for turn in 0..60 {
            let Ok(pick) = balancer.choose(&Want::any(hand.now()), rng) else { return turn };
            let outcome = if turn % 2 == 0 { Outcome::Success } else { Outcome::Failure };
            pick.finish(outcome, hand.now());
        }
        60
    };
    assert_eq!(alternate(BreakerPolicy::default(), &mut rng), 20);
    let none = BreakerPolicy { failures: Share::percent(0), ..BreakerPolicy::default() };
    assert_eq!(alternate(none.clone(), &mut rng), 60);
    let off = BreakerPolicy { consecutive: 0, open_for: Duration::ZERO, ..none };
    assert_eq!(alternate(off, &mut rng), 60);
}

#[test]
fn when_all_have_failed_only_probes_go_through_and_the_earliest_is_told() {
    for way in every_way() {
        let (balancer, hand) = balancer(&brittle(way, Share::percent(50)), &endpoints(3));
        let mut rng = rng();
        open(&balancer, &[1, 0, 2], &hand);
        let want = Want { hash: Some(3), ..Want::any(hand.now()) };
        let refused = balancer.choose(&want, &mut rng).unwrap_err();
        assert_eq!(refused, NoEndpoint::Open { retry_after: Duration::from_millis(4970) });
        hand.advance(Duration::from_millis(4970));
        let want = Want { now: hand.now(), ..want };
        let probe = balancer.choose(&want, &mut rng).unwrap();
        assert_eq!(number(probe.endpoint().address), 1);
        assert!(balancer.choose(&want, &mut rng).is_err());
        probe.finish(Outcome::Success, hand.now());
        // One is well: at most half of three may be left alone now.
        let ejected: Vec<bool> =
            balancer.snapshot(hand.now()).iter().map(|endpoint| endpoint.ejected).collect();
        assert_eq!(ejected, [true, false, false]);
    }
}

#[test]
fn a_probe_finds_its_endpoint_among_many_soon_and_however_slow_it_was() {
    for way in every_way() {
        let (balancer, hand) = balancer(&brittle(way, Share::percent(50)), &endpoints(10));
        let mut rng = rng();
        let victim = balancer.roster.load_full().endpoint(address(7));
        let pick = Pick::admitted(&victim, hand.now()).unwrap();
        hand.advance(10 * SECOND);
        pick.finish(Outcome::Failure, hand.now());
        hand.advance(6 * SECOND);
        let probed = (0..60).any(|_| {
            let want = Want { hash: Some(rng.u64(..)), ..Want::any(hand.now()) };
            let pick = balancer.choose(&want, &mut rng).unwrap();
            let probe = *pick.endpoint() == victim;
            pick.finish(Outcome::Success, hand.now());
            probe
        });
        assert!(probed);
        assert_eq!(victim.state(hand.now()), State::Closed);
    }
}

#[test]
fn an_endpoint_that_is_used_beyond_the_cap_can_still_recover() {
    let (balancer, hand) =
        balancer(&brittle(Balance::LeastRequest, Share::percent(0)), &endpoints(3));
    let mut rng = rng();
    open(&balancer, &[0, 1], &hand);
    let got = spread(&balancer, 3, hand.now());
    assert!(got.iter().all(|share| (share - 1.0 / 3.0).abs() < 0.03), "{got:?}");
    hand.advance(6 * SECOND);
    for _ in 0..50 {
        let pick = balancer.choose(&Want::any(hand.now()), &mut rng).unwrap();
        pick.finish(Outcome::Success, hand.now());
    }
    let closed = |endpoint: &EndpointSnapshot| endpoint.breaker == State::Closed;
    assert!(balancer.snapshot(hand.now()).iter().all(closed));
}

#[test]
fn an_attempt_that_is_given_up_is_over_and_gives_its_probe_back() {
    let (balancer, hand) =
        balancer(&brittle(Balance::LeastRequest, Share::percent(50)), &endpoints(1));
    let mut rng = rng();
    drop(balancer.choose(&Want::any(hand.now()), &mut rng).unwrap());
    let snapshot = &balancer.snapshot(hand.now())[0];
    assert_eq!((snapshot.in_flight, snapshot.requests, snapshot.failures), (0, 1, 0));
    assert_eq!(snapshot.latency, None, "a call that was given up is no answer");
    (0..50).for_each(|_| drop(balancer.choose(&Want::any(hand.now()), &mut rng).unwrap()));
    let endpoint = balancer.roster.load_full().endpoint(address(0));
    assert_eq!(endpoint.state(hand.now()), State::Closed, "callers that hang up open no breaker");
    fail(&balancer, hand.now(), &mut rng);
    hand.advance(5 * SECOND);
    drop(balancer.choose(&Want::any(hand.now()), &mut rng).unwrap());
    assert_eq!(endpoint.state(hand.now()), State::HalfOpen);
    assert!(balancer.choose(&Want::any(hand.now()), &mut rng).is_ok(), "its place is free again");
}

#[test]
fn an_endpoint_that_only_hangs_does_not_look_healthy() {
    let (balancer, hand) = balancer(&calls(Balance::LeastRequest), &endpoints(1));
    let mut rng = rng();
    for _ in 0..5 {
        let pick = balancer.choose(&Want::any(hand.now()), &mut rng).unwrap();
        hand.advance(SECOND);
        drop(pick);
    }
    assert!(matches!(
        balancer.choose(&Want::any(hand.now()), &mut rng),
        Err(NoEndpoint::Open { .. })
    ));
}

#[test]
fn a_call_that_is_given_up_late_makes_its_endpoint_slow() {
    let (balancer, hand) = balancer(&calls(Balance::LeastRequest), &endpoints(1));
    let mut rng = rng();
    balancer.choose(&Want::any(hand.now()), &mut rng).unwrap().finish(Outcome::Success, hand.now());
    let pick = balancer.choose(&Want::any(hand.now()), &mut rng).unwrap();
    hand.advance(3 * SECOND);
    drop(pick);
    assert_eq!(balancer.snapshot(hand.now())[0].latency, Some(3 * SECOND));
}

#[test]
fn who_asks_for_less_gets_a_tenth_until_its_time_is_over() {
    for way in every_way() {
        let (balancer, hand) = balancer(&calls(way.clone()), &endpoints(4));
        let endpoint = balancer.roster.load_full().endpoint(address(1));
        let before = spread(&balancer, 4, hand.now());
        let pick = Pick::admitted(&endpoint, hand.now()).unwrap();
        let retry_after = Some(3 * SECOND);
        pick.finish(Outcome::Overloaded { retry_after, failed: false }, hand.now());
        assert!(balancer.snapshot(hand.now())[1].overloaded);
        let during = spread(&balancer, 4, hand.now());
        assert!((0.005..0.06).contains(&during[1]), "{way}: {during:?}");
        assert!([0, 2, 3].iter().all(|n| (during[*n] - 0.325).abs() < 0.04), "{way}: {during:?}");
        hand.advance(3 * SECOND);
        let after = spread(&balancer, 4, hand.now());
        assert!((after[1] - before[1]).abs() < 0.02, "{way}: {before:?} {after:?}");
        assert_eq!(endpoint.tally.failures.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn when_all_ask_for_less_they_share_the_load_as_before() {
    for way in every_way() {
        let (balancer, hand) = balancer(&calls(way.clone()), &endpoints(4));
        for number in 0..4 {
            let endpoint = balancer.roster.load_full().endpoint(address(number));
            let pick = Pick::admitted(&endpoint, hand.now()).unwrap();
            pick.finish(Outcome::Overloaded { retry_after: None, failed: true }, hand.now());
        }
        let got = spread(&balancer, 4, hand.now());
        assert!(got.iter().all(|share| (share - 0.25).abs() < 0.03), "{way}: {got:?}");
        let snapshot = balancer.snapshot(hand.now() + SECOND);
        assert!(snapshot.iter().all(|endpoint| !endpoint.overloaded && endpoint.failures == 1));
    }
}

#[test]
fn nobody_is_spared_for_longer_than_a_minute_and_429_opens_no_breaker() {
    let (balancer, hand) =
        balancer(&brittle(Balance::LeastRequest, Share::percent(50)), &endpoints(2));
    let mut rng = rng();
    for _ in 0..100 {
        let pick = balancer.choose(&Want::any(hand.now()), &mut rng).unwrap();
        let retry_after = Some(Duration::MAX);
        assert_eq!(
            pick.finish(Outcome::Overloaded { retry_after, failed: false }, hand.now()),
            None
        );
    }
    hand.advance(60 * SECOND);
    let well =
        |endpoint: &EndpointSnapshot| !endpoint.overloaded && endpoint.breaker == State::Closed;
    assert!(balancer.snapshot(hand.now()).iter().all(well));
}

#[test]
fn an_endpoint_that_joins_others_gets_its_share_step_by_step() {
    for way in [Balance::LeastRequest, Balance::RoundRobin] {
        for count in [2, 5] {
            let (balancer, hand) = balancer(&calls(way.clone()), &endpoints(count - 1));
            balancer.update(&calls(way.clone()), &endpoints(count)).unwrap();
            // Envoy's formula: a tenth at first, then in proportion to the time.
            for (second, factor) in [(0, 0.1), (3, 0.3), (5, 0.5), (9, 0.9), (10, 1.0), (20, 1.0)] {
                let now = hand.now() + second * SECOND;
                let new = spread(&balancer, count, now)[count - 1];
                let due = factor / (count as f64 - 1.0 + factor);
                assert!((new - due).abs() < 0.035, "{way} {count} {second} s: {new} {due}");
            }
        }
    }
}

#[test]
fn a_newcomer_is_not_flooded_even_if_it_is_much_quicker() {
    let (balancer, hand) = balancer(&calls(Balance::LeastRequest), &endpoints(2));
    let (mut rng, mut new) = (rng(), 0);
    for number in [0, 1] {
        let endpoint = balancer.roster.load_full().endpoint(address(number));
        endpoint.latency.observe(SECOND, hand.now());
    }
    balancer.update(&calls(Balance::LeastRequest), &endpoints(3)).unwrap();
    let endpoint = balancer.roster.load_full().endpoint(address(2));
    endpoint.latency.observe(Duration::from_millis(1), hand.now());
    for _ in 0..10_000 {
        new += u32::from(
            glance(balancer.choose(&Want::any(hand.now()), &mut rng).unwrap(), hand.now()) == 2,
        );
    }
    // At most as often as it is proposed: one of two proposals, a tenth of the time.
    assert!(new < 1_000, "{new}");
}

#[test]
fn who_joins_an_empty_list_and_who_stays_start_at_full_speed() {
    let (balancer, hand) = balancer(&calls(Balance::LeastRequest), &[]);
    balancer.update(&calls(Balance::LeastRequest), &endpoints(2)).unwrap();
    let shares =
        |now| balancer.snapshot(now).iter().map(|endpoint| endpoint.share).collect::<Vec<_>>();
    assert_eq!(shares(hand.now()), [1.0, 1.0]);
    balancer.update(&calls(Balance::LeastRequest), &endpoints(3)).unwrap();
    assert_eq!(shares(hand.now()), [1.0, 1.0, 0.1]);
}

#[test]
fn an_endpoint_keeps_its_state_over_updates_and_loses_it_with_its_life() {
    let calls = brittle(Balance::LeastRequest, Share::percent(50));
    let mut list = endpoints(3);
    let (balancer, hand) = balancer(&calls, &list);
    open(&balancer, &[1], &hand);
    let before = balancer.roster.load_full();
    balancer.update(&calls, &list.clone()).unwrap();
    assert!(Arc::ptr_eq(&before, &balancer.roster.load_full()), "nothing changed");
    list[1].weight = 7;
    list.reverse();
    list.push(list[0].clone());
    balancer.update(&Calls { balance: Balance::RoundRobin, ..calls.clone() }, &list).unwrap();
    let snapshot = balancer.snapshot(hand.now());
    assert_eq!(snapshot.len(), 3, "each once");
    assert_eq!((snapshot[1].breaker, snapshot[1].weight), (State::Open, 7));
    let at = list.iter().position(|endpoint| endpoint.address == address(1)).unwrap();
    for (incarnation, version) in [(1, None), (1, Some(name("v2")))] {
        list[at] = EndpointConfig { incarnation, version, ..list[at].clone() };
        balancer.update(&calls, &list).unwrap();
        let new = &balancer.snapshot(hand.now())[1];
        assert_eq!((new.breaker, new.requests), (State::Closed, 0));
        open(&balancer, &[1], &hand);
    }
    let breaker = BreakerPolicy { consecutive: 9, ..calls.breaker.clone() };
    balancer.update(&Calls { breaker, ..calls }, &list).unwrap();
    assert_eq!(balancer.snapshot(hand.now())[1].breaker, State::Closed);
}

#[test]
fn no_request_in_flight_is_lost_while_the_list_changes_under_choosing_threads() {
    let calls = calls(Balance::LeastRequest);
    let stable = endpoints(2);
    let balancer = Balancer::new(&calls, &stable, Clock::system()).unwrap();
    let (stop, chosen) = (AtomicBool::new(false), [AtomicU64::new(0), AtomicU64::new(0)]);
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (balancer, stop, chosen) = (&balancer, &stop, &chosen);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                let mut held = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let now = balancer.clock.now();
                    let pick = balancer.choose(&Want::any(now), &mut rng).unwrap();
                    if let Some(count) = chosen.get(number(pick.endpoint().address)) {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    held.push(pick);
                    if held.len() > 8 {
                        let pick = held.swap_remove(rng.usize(..held.len()));
                        if rng.bool() {
                            pick.finish(Outcome::Success, now);
                        }
                    }
                }
            });
        }
        for round in 0..300 {
            let mut list = stable.clone();
            list.extend((2..2 + round % 5).map(endpoint));
            list.extend((round % 3 > 0).then(|| EndpointConfig {
                incarnation: u64::try_from(round).unwrap(),
                ..endpoint(9)
            }));
            balancer.update(&calls, &list).unwrap();
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
    });
    balancer.update(&calls, &stable).unwrap();
    for (endpoint, chosen) in balancer.snapshot(balancer.clock.now()).iter().zip(&chosen) {
        assert_eq!(endpoint.in_flight, 0);
        assert_eq!(endpoint.requests, chosen.load(Ordering::Relaxed));
    }
}

fn attempt(balancer: &Balancer, want: &Want<'_>, rng: &mut fastrand::Rng) {
    let pick = balancer.choose(want, rng).unwrap();
    pick.finish(Outcome::Success, want.now);
}

#[test]
fn an_attempt_takes_no_memory_from_the_heap() {
    for way in every_way() {
        let calls = brittle(way, Share::percent(50));
        let (balancer, hand) = balancer(&calls, &endpoints(10));
        let mut rng = rng();
        attempt(&balancer, &Want::any(hand.now()), &mut rng);
        let tried = [balancer.roster.load_full().endpoint(address(4))];
        let count = |hand: &ManualClock, rng: &mut fastrand::Rng| {
            measure(|| {
                for hash in 0..500 {
                    let want = Want { hash: Some(mixed(hash)), ..Want::any(hand.now()) };
                    attempt(&balancer, &want, rng);
                    attempt(&balancer, &Want { avoid: &tried, ..want }, rng);
                    drop(balancer.choose(&want, rng));
                }
            })
        };
        assert_eq!(count(&hand, &mut rng).count_total, 0);
        open(&balancer, &[1, 2, 3], &hand);
        assert_eq!(count(&hand, &mut rng).count_total, 0);
    }
}

fn mixed(hash: u64) -> u64 {
    hash::mixed(hash)
}

fn best_of_seven(mut work: impl FnMut()) -> Duration {
    const ROUNDS: u32 = 300_000;
    let runs = (0..7).map(|_| {
        let begin = std::time::Instant::now();
        (0..ROUNDS).for_each(|_| work());
        begin.elapsed() / ROUNDS
    });
    runs.min().unwrap()
}

/// `cargo test --release -p updraft-mesh -- --ignored --nocapture what_choosing_costs`. To choose
/// is to cost less than 150 ns among ten endpoints.
#[test]
#[ignore = "a measurement"]
fn what_choosing_costs() {
    let mut rng = rng();
    let breaker = Balancer::new(&Calls::default(), &endpoints(1), Clock::system()).unwrap();
    let endpoint = breaker.roster.load_full().endpoint(address(0));
    let floor = best_of_seven(|| {
        let permit = endpoint.breaker.try_acquire(START).unwrap();
        endpoint.breaker.record(permit, updraft_resilience::Verdict::Success, START);
    });
    println!("a breaker alone: {floor:?}");
    for way in every_way() {
        let (balancer, _) = balancer(&calls(way.clone()), &endpoints(10));
        let both = best_of_seven(|| {
            attempt(&balancer, &Want { hash: Some(rng.u64(..)), ..Want::any(START) }, &mut rng);
        });
        // Nothing is given back, which only the numbers in flight notice.
        let choose = best_of_seven(|| {
            let want = Want { hash: Some(rng.u64(..)), ..Want::any(START) };
            std::mem::forget(balancer.choose(&want, &mut rng).unwrap());
        });
        println!("{way}: choose {choose:?}, with finish {both:?}");
    }
}
