//! Evenness, weights, and how little moves.

use super::super::fixture::address;
use super::*;

fn of(weights: &[(usize, u32)]) -> Vec<(SocketAddr, u32)> {
    weights.iter().map(|(number, weight)| (address(*number), *weight)).collect()
}

fn alike(numbers: impl IntoIterator<Item = usize>) -> Vec<(SocketAddr, u32)> {
    numbers.into_iter().map(|number| (address(number), 1)).collect()
}

/// The address that each of many hashes leads to.
fn homes(endpoints: &[(SocketAddr, u32)]) -> Vec<SocketAddr> {
    let table = Maglev::new(endpoints);
    let home = |n: u64| endpoints[table.places(mixed(n)).next().unwrap()].0;
    (0..30_000).map(home).collect()
}

fn share(homes: &[SocketAddr], address: SocketAddr) -> f64 {
    homes.iter().filter(|home| **home == address).count() as f64 / homes.len() as f64
}

#[test]
fn every_slot_is_taken_and_evenly() {
    for count in [1, 2, 3, 10, 100] {
        let endpoints = alike(0..count);
        let table = Maglev::new(&endpoints);
        assert_eq!(table.slots.len(), 16_381);
        let mut taken = vec![0_i64; count];
        table.slots.iter().for_each(|place| taken[usize::try_from(*place).unwrap()] += 1);
        let (most, least) = (taken.iter().max().unwrap(), taken.iter().min().unwrap());
        assert!(most - least <= 1, "{taken:?}");
    }
}

#[test]
fn slots_follow_weights() {
    let table = Maglev::new(&of(&[(0, 1), (1, 2), (2, 7)]));
    for (place, share) in [(0, 0.1), (1, 0.2), (2, 0.7)] {
        let taken = table.slots.iter().filter(|slot| **slot == place).count();
        assert!((taken as f64 / 16_381.0 - share).abs() < 0.001);
    }
}

#[test]
fn hardly_any_other_key_moves_when_one_of_n_leaves() {
    for count in [2, 3, 10, 50] {
        let before = homes(&alike(0..count));
        let after = homes(&alike((0..count).filter(|number| *number != 1)));
        let gone = share(&before, address(1));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        let needless = moved as f64 / 30_000.0 - gone;
        assert!(needless < 0.03, "{needless} of the keys of {count} moved needlessly");
    }
}

#[test]
fn what_one_loses_with_its_weight_goes_to_the_others_and_little_else_moves() {
    let before = homes(&of(&[(0, 10), (1, 10), (2, 10)]));
    let after = homes(&of(&[(0, 10), (1, 5), (2, 10)]));
    assert!((share(&after, address(1)) - 0.2).abs() < 0.01);
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!(moved < 30_000 / 4, "{moved}");
}

#[test]
fn the_keys_of_one_that_may_not_be_used_go_to_all_others() {
    let endpoints = alike(0..5);
    let table = Maglev::new(&endpoints);
    let mut next = [0_u32; 5];
    for n in 0..20_000 {
        let mut places = table.places(mixed(n));
        if places.next() == Some(3) {
            next[places.find(|place| *place != 3).unwrap()] += 1;
        }
    }
    assert_eq!(next[3], 0);
    for count in [0, 1, 2, 4].map(|place| next[place]) {
        assert!((880..1120).contains(&count), "{next:?}");
    }
}

#[test]
fn every_place_is_named_however_small_its_weight() {
    let table = Maglev::new(&of(&[(0, 1), (1, 1_000_000), (2, 1), (3, 1)]));
    for hash in [0, 1, 77, u64::MAX] {
        let mut places: Vec<usize> = table.places(hash).collect();
        assert!(places.len() <= 64 + 4);
        places.sort_unstable();
        places.dedup();
        assert_eq!(places, [0, 1, 2, 3]);
    }
    assert_eq!(Maglev::new(&[]).places(5).next(), None);
}

#[test]
fn ipv4_and_ipv6_addresses_have_hashes_of_their_own() {
    let hashes = ["127.0.0.1:80", "127.0.0.1:81", "[::1]:80", "127.0.0.2:80"]
        .map(|text| address_hash(text.parse().unwrap()));
    let mut once = hashes.to_vec();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), 4);
    assert_eq!(address_hash("[::ffff:127.0.0.1]:80".parse().unwrap()), hashes[0]);
}
