//! The cap, for every set of open breakers, against the rule as it is written down.

use std::collections::BTreeSet;

use super::super::Want;
use super::super::fixture::{balancer, brittle, endpoints, every_way, glance, open};
use super::*;

/// The orders in which a set may open: as it is, backwards, and from the middle.
fn orders(set: &[usize]) -> [Vec<usize>; 3] {
    let mut turned = set.to_vec();
    turned.rotate_left(set.len() / 2);
    [set.to_vec(), set.iter().rev().copied().collect(), turned]
}

/// Who is left alone: those that opened first, as many as the cap lets.
fn naive(count: usize, opened: &[usize], percent: usize) -> BTreeSet<usize> {
    let left_alone = if opened.len() == count { count } else { count * percent / 100 };
    opened.iter().take(left_alone).copied().collect()
}

#[test]
fn never_are_more_left_alone_than_the_cap_unless_all_have_failed() {
    for count in 1..=8 {
        for subset in 0_u32..1 << count {
            let set: Vec<usize> = (0..count).filter(|n| subset & (1 << n) != 0).collect();
            for (order, percent) in orders(&set).iter().zip([50, 34, 75]) {
                let at_most = Share::percent(u32::try_from(percent).unwrap());
                let calls = brittle(updraft_system::mesh::Balance::LeastRequest, at_most);
                let (balancer, hand) = balancer(&calls, &endpoints(count));
                open(&balancer, order, &hand);
                let snapshot = balancer.snapshot(hand.now());
                let ejected: BTreeSet<usize> =
                    (0..count).filter(|number| snapshot[*number].ejected).collect();
                assert_eq!(ejected, naive(count, order, percent), "{order:?} of {count}");
            }
        }
    }
}

#[test]
fn who_is_left_alone_gets_nothing_and_everybody_else_something() {
    let mut rng = fastrand::Rng::with_seed(5);
    for way in every_way() {
        for percent in [0, 50, 100] {
            for subset in 0_u32..(1 << 6) - 1 {
                let set: Vec<usize> = (0..6).filter(|n| subset & (1 << n) != 0).collect();
                let at_most = Share::percent(u32::try_from(percent).unwrap());
                let (balancer, hand) = balancer(&brittle(way.clone(), at_most), &endpoints(6));
                open(&balancer, &set, &hand);
                let now = hand.now();
                let chosen: BTreeSet<usize> = (0..150)
                    .map(|_| {
                        let hash = Some(rng.u64(..));
                        let want = Want { hash, ..Want::any(now) };
                        glance(balancer.choose(&want, &mut rng).unwrap(), now)
                    })
                    .collect();
                let left_alone = naive(6, &set, percent);
                let others: BTreeSet<usize> =
                    (0..6).filter(|number| !left_alone.contains(number)).collect();
                assert_eq!(chosen, others, "{way} {percent} % {set:?}");
            }
        }
    }
}

#[test]
fn of_those_that_opened_at_one_moment_the_first_of_the_list_is_used() {
    let calls = brittle(updraft_system::mesh::Balance::LeastRequest, Share::percent(50));
    let (balancer, hand) = balancer(&calls, &endpoints(4));
    let roster = balancer.roster.load_full();
    for number in [2, 1, 3] {
        let endpoint = roster.endpoint(super::super::fixture::address(number));
        let pick = super::super::Pick::admitted(&endpoint, hand.now()).unwrap();
        pick.finish(super::super::Outcome::Failure, hand.now());
    }
    let snapshot = balancer.snapshot(hand.now());
    let ejected: Vec<bool> = snapshot.iter().map(|endpoint| endpoint.ejected).collect();
    assert_eq!(ejected, [false, false, true, true]);
}

#[test]
fn an_endpoint_that_is_well_again_takes_no_place_of_those_beyond_the_cap() {
    let calls = brittle(updraft_system::mesh::Balance::LeastRequest, Share::percent(25));
    let (balancer, hand) = balancer(&calls, &endpoints(4));
    open(&balancer, &[0, 1, 3], &hand);
    let well = balancer.roster.load_full().endpoint(super::super::fixture::address(3));
    well.breaker.reset();
    let snapshot = balancer.snapshot(hand.now());
    let ejected: Vec<bool> = snapshot.iter().map(|endpoint| endpoint.ejected).collect();
    assert_eq!(ejected, [true, false, false, false]);
}
