//! How the work is spread: by speed, by load, by weight, by key, and past those who fail.

use std::collections::BTreeMap;

use updraft_system::mesh::{EndpointConfig, EndpointTls};

use super::super::fixture::*;
use super::super::{Outcome, key_hash};
use super::*;

fn shares(got: &[usize]) -> Vec<f64> {
    let total: usize = got.iter().sum();
    got.iter().map(|count| *count as f64 / total as f64).collect()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn an_endpoint_that_is_ten_times_slower_gets_hardly_anything() {
    for callers in [1, 4, 20] {
        let (balancer, _) = balancer(&calls(Balance::LeastRequest), &endpoints(4));
        let takes = |number| if number == 2 { millis(100) } else { millis(10) };
        let got = load(&balancer, callers, 20_000, takes);
        assert!(shares(&got)[2] < 0.04, "{callers} callers: {got:?}");
        assert!(got[2] > 0, "it is tried again now and then");
    }
}

#[test]
fn least_request_keeps_an_even_load_even() {
    let (balancer, _) = balancer(&calls(Balance::LeastRequest), &endpoints(10));
    let mut rng = fastrand::Rng::with_seed(2);
    let mut picks = Vec::new();
    for _ in 0..1000 {
        picks.push(balancer.choose(&Want::any(START), &mut rng).unwrap());
    }
    let snapshot = balancer.snapshot(START);
    let most = snapshot.iter().map(|endpoint| endpoint.in_flight).max().unwrap();
    // Pure chance would reach about 115 here; two choices stay within a few of 100.
    assert!(most <= 104, "{most}");
}

#[test]
fn weights_hold_with_and_without_load() {
    for way in every_way() {
        for callers in [1, 40] {
            let (balancer, _) = balancer(&calls(way.clone()), &weighted(&[1, 2, 5]));
            let got = load(&balancer, callers, 16_000, |_| millis(10));
            for (share, due) in shares(&got).into_iter().zip([0.125, 0.25, 0.625]) {
                assert!((share - due).abs() < 0.06, "{way}, {callers} callers: {got:?}");
            }
        }
    }
}

#[test]
fn a_canary_of_one_percent_gets_about_one_percent() {
    let (balancer, _) = balancer(&calls(Balance::LeastRequest), &weighted(&[99, 1]));
    let mut random = fastrand::Rng::with_seed(9);
    for callers in [1, 40] {
        let got = load(&balancer, callers, 50_000, |_| millis(random.u64(8..15)));
        let share = shares(&got)[1];
        assert!((0.007..0.013).contains(&share), "{callers} callers: {share}");
    }
}

#[test]
fn round_robin_is_exact() {
    let (balancer, _) = balancer(&calls(Balance::RoundRobin), &weighted(&[1, 2, 5]));
    for _ in 0..5 {
        assert_eq!(load(&balancer, 3, 8, |_| millis(10)), [1, 2, 5]);
    }
}

#[test]
fn round_robin_passes_over_an_open_breaker_without_burdening_its_neighbour() {
    let (balancer, hand) =
        balancer(&brittle(Balance::RoundRobin, Share::percent(50)), &endpoints(5));
    open(&balancer, &[2], &hand);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut got = [0; 5];
    (0..4000).for_each(|_| {
        got[glance(balancer.choose(&Want::any(hand.now()), &mut rng).unwrap(), hand.now())] += 1;
    });
    assert_eq!(got, [1000, 1000, 0, 1000, 1000]);
}

#[test]
fn nothing_goes_to_an_endpoint_without_weight() {
    for way in every_way() {
        let (balancer, _) = balancer(&calls(way), &weighted(&[1, 0, 3]));
        assert_eq!(load(&balancer, 4, 1000, |_| millis(10))[1], 0);
    }
}

#[test]
fn a_key_goes_to_one_endpoint_of_every_gateway() {
    let list = endpoints(7);
    let mut backwards = list.clone();
    backwards.reverse();
    let (one, _) = balancer(&calls(hashing()), &list);
    let (other, _) = balancer(&calls(hashing()), &backwards);
    let mut rng = fastrand::Rng::with_seed(4);
    let mut seen = BTreeMap::<usize, u32>::new();
    for key in 0..500 {
        let hash = Some(key_hash(format!("user-{key}").as_bytes()));
        let want = Want { hash, ..Want::any(START) };
        let homes =
            [&one, &other, &one].map(|of| glance(of.choose(&want, &mut rng).unwrap(), START));
        assert!(homes.iter().all(|home| *home == homes[0]), "{homes:?}");
        *seen.entry(homes[0]).or_default() += 1;
    }
    assert_eq!(seen.len(), 7);
}

#[test]
fn only_the_keys_of_the_one_that_is_left_alone_move_and_they_come_back() {
    let (balancer, hand) = balancer(&brittle(hashing(), Share::percent(50)), &endpoints(5));
    let mut rng = fastrand::Rng::with_seed(4);
    let mut homes = |now| {
        let home = |key: u64| {
            let want = Want { hash: Some(mixed(key)), ..Want::any(now) };
            let pick = balancer.choose(&want, &mut rng).unwrap();
            let number = number(pick.endpoint().address);
            pick.finish(Outcome::Success, now);
            number
        };
        (0..500).map(home).collect::<Vec<_>>()
    };
    let before = homes(hand.now());
    open(&balancer, &[1], &hand);
    let during = homes(hand.now());
    assert_eq!(during, homes(hand.now()));
    for (before, during) in before.iter().zip(&during) {
        assert!(*during != 1 && (before == during || *before == 1));
    }
    hand.advance(5 * SECOND);
    assert_eq!(homes(hand.now()), before);
}

#[test]
fn a_request_without_a_key_goes_where_the_least_requests_are() {
    let (balancer, _) = balancer(&calls(hashing()), &endpoints(2));
    let mut rng = fastrand::Rng::with_seed(4);
    let picks: Vec<_> =
        (0..10).map(|_| balancer.choose(&Want::any(START), &mut rng).unwrap()).collect();
    let snapshot = balancer.snapshot(START);
    assert_eq!([snapshot[0].in_flight, snapshot[1].in_flight], [5, 5]);
    drop(picks);
}

#[test]
fn another_attempt_goes_to_another_endpoint() {
    let mut rng = fastrand::Rng::with_seed(6);
    for way in every_way() {
        let (balancer, hand) = balancer(&brittle(way, Share::percent(50)), &endpoints(4));
        let now = hand.now();
        for key in 0..100 {
            let mut tried = Vec::new();
            for _ in 0..4 {
                let want = Want { hash: Some(mixed(key)), avoid: &tried, ..Want::any(now) };
                let pick = balancer.choose(&want, &mut rng).unwrap();
                let endpoint = Arc::clone(pick.endpoint());
                assert!(!tried.contains(&endpoint));
                tried.push(endpoint);
                pick.finish(Outcome::Ignored, now);
            }
            let want = Want { hash: Some(mixed(key)), avoid: &tried, ..Want::any(now) };
            glance(balancer.choose(&want, &mut rng).unwrap(), now);
        }
        // Better one that was tried and is well than one that is left alone.
        open(&balancer, &[0, 1], &hand);
        let roster = balancer.roster.load_full();
        let tried = [2, 3].map(|number| roster.endpoint(address(number)));
        for key in 0..50 {
            let want = Want { hash: Some(mixed(key)), avoid: &tried, ..Want::any(hand.now()) };
            let chosen = glance(balancer.choose(&want, &mut rng).unwrap(), hand.now());
            assert!([2, 3].contains(&chosen));
        }
    }
}

#[test]
fn another_attempt_goes_elsewhere_even_if_the_first_endpoint_is_idle_and_the_others_busy() {
    let (balancer, _) = balancer(&calls(Balance::LeastRequest), &endpoints(3));
    let mut rng = fastrand::Rng::with_seed(6);
    let roster = balancer.roster.load_full();
    let tried = [roster.endpoint(address(0))];
    let want = Want { avoid: &tried, ..Want::any(START) };
    let picks: Vec<_> = (0..100).map(|_| balancer.choose(&want, &mut rng).unwrap()).collect();
    assert!(picks.iter().all(|pick| *pick.endpoint() != tried[0]));
}

#[test]
fn one_that_starts_slowly_is_better_than_one_that_was_tried() {
    for way in every_way() {
        let (balancer, hand) = balancer(&calls(way.clone()), &endpoints(1));
        balancer.update(&calls(way), &endpoints(2)).unwrap();
        let mut rng = fastrand::Rng::with_seed(6);
        let tried = [balancer.roster.load_full().endpoint(address(0))];
        for key in 0..100 {
            let want = Want { hash: Some(mixed(key)), avoid: &tried, ..Want::any(hand.now()) };
            assert_eq!(glance(balancer.choose(&want, &mut rng).unwrap(), hand.now()), 1);
        }
    }
}

#[test]
fn the_only_endpoint_may_be_tried_again() {
    let (balancer, _) = balancer(&calls(Balance::LeastRequest), &endpoints(1));
    let mut rng = fastrand::Rng::with_seed(6);
    let first = balancer.choose(&Want::any(START), &mut rng).unwrap();
    let tried = [Arc::clone(first.endpoint())];
    let want = Want { avoid: &tried, ..Want::any(START) };
    assert_eq!(balancer.choose(&want, &mut rng).unwrap().endpoint(), &tried[0]);
}

#[test]
fn an_endpoint_that_starts_again_is_no_longer_the_one_that_was_tried() {
    let mut list = endpoints(1);
    let (old, _) = balancer(&calls(Balance::LeastRequest), &list);
    list[0].incarnation = 1;
    let (new, _) = balancer(&calls(Balance::LeastRequest), &list);
    list[0] = EndpointConfig { tls: EndpointTls::Mutual, ..endpoint(0) };
    let (secure, _) = balancer(&calls(Balance::LeastRequest), &list);
    let [old, new, secure] =
        [old, new, secure].map(|of| of.roster.load_full().endpoint(address(0)));
    assert!(old != new && old != secure && new != secure);
}
