//! Shares, and which keys move when weights change.

use proptest::prelude::*;

use super::super::fixture::name;
use super::super::{VersionSplit, key_hash};
use super::*;

fn split(weights: &[(&str, u32)]) -> VersionSplit {
    let weights = weights.iter().map(|(version, weight)| (name(version), *weight)).collect();
    VersionSplit::new(&Split { weights, sticky: Some("cookie:session".parse().unwrap()) })
}

fn of_key(split: &VersionSplit, key: u32) -> String {
    let hash = key_hash(format!("user-{key}").as_bytes());
    let mut rng = fastrand::Rng::with_seed(u64::from(key));
    split.choose(Some(hash), &mut rng).unwrap().to_string()
}

#[test]
fn with_and_without_a_key_shares_are_those_of_the_weights() {
    let split = split(&[("v1", 90), ("v2", 9), ("v3", 1), ("v4", 0)]);
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut by_key, mut by_chance) = ([0_u32; 5], [0_u32; 5]);
    let digit = |version: &str| version[1..].parse::<usize>().unwrap();
    for n in 0..50_000 {
        by_key[digit(&of_key(&split, n))] += 1;
        by_chance[digit(split.choose(None, &mut rng).unwrap().as_str())] += 1;
    }
    for got in [by_key, by_chance] {
        assert_eq!(got[4], 0);
        for (version, share) in [(1, 0.9), (2, 0.09), (3, 0.01)] {
            let found = f64::from(got[version]) / 50_000.0;
            assert!((found - share).abs() < 0.004, "{got:?}");
        }
    }
}

#[test]
fn of_two_versions_exactly_the_share_moves_that_must() {
    let versions = |v2: u32| split(&[("v1", 100 - v2), ("v2", v2)]);
    let homes = |v2| {
        let split = versions(v2);
        (0..20_000).map(move |key| of_key(&split, key)).collect::<Vec<_>>()
    };
    let steps: Vec<_> = [0, 1, 10, 50, 99, 100].map(|v2| (v2, homes(v2))).into();
    for pair in steps.windows(2) {
        let ((less, before), (more, after)) = (&pair[0], &pair[1]);
        let mut moved = 0;
        for (before, after) in before.iter().zip(after) {
            assert!(before == after || (before == "v1" && after == "v2"), "a key went back");
            moved += u32::from(before != after);
        }
        let share = f64::from(moved) / 20_000.0;
        assert!((share - f64::from(more - less) / 100.0).abs() < 0.015);
    }
}

#[test]
fn without_weights_there_is_no_choice() {
    let mut rng = fastrand::Rng::with_seed(1);
    for split in [split(&[]), split(&[("v1", 0)])] {
        assert_eq!(split.choose(None, &mut rng), None);
        assert_eq!(split.choose(Some(7), &mut rng), None);
    }
    assert_eq!(split(&[]).sticky().unwrap().to_string(), "cookie:session");
}

proptest! {
    #[test]
    fn a_key_moves_only_to_a_version_that_has_gained_against_its_own(
        before in prop::collection::vec(1_u32..1000, 4),
        after in prop::collection::vec(1_u32..1000, 4),
    ) {
        let names = ["a", "b", "c", "d"];
        let of = |weights: &[u32]| {
            let pairs: Vec<_> = names.into_iter().zip(weights.iter().copied()).collect();
            split(&pairs)
        };
        let place = |version: &str| names.iter().position(|name| *name == version).unwrap();
        let (one, other) = (of(&before), of(&after));
        for key in 0..200 {
            let (from, to) = (place(&of_key(&one, key)), place(&of_key(&other, key)));
            let gained = u64::from(after[to]) * u64::from(before[from])
                > u64::from(before[to]) * u64::from(after[from]);
            prop_assert!(from == to || gained);
        }
    }
}
