//! One endpoint after the other, each as often as its weight says.
//!
//! nginx's smooth weighted round robin keeps a running number per endpoint under a lock. Here
//! the order is made once, when the list changes, by earliest deadline first (as Envoy's
//! scheduler does it): the k-th turn of an endpoint of weight w is due at (k + ½) / w, so that
//! turns are spread evenly. Choosing is then one atomic addition. The price is memory of one
//! word for each turn, and weights whose sum is above 4096 after reduction are rounded: a share
//! is then off by less than 1/4096 of the whole for each endpoint, and none gets less than one
//! turn.
//!
//! Who passes over an endpoint takes the next turn, instead of looking further from the same
//! one: so what the endpoint would have got goes to all others alike, not to its neighbour.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The most turns of one round, unless there are more endpoints.
const MOST_TURNS: u64 = 4096;

/// The order of turns, and whose turn it is.
#[derive(Debug)]
pub(super) struct Rotation {
    turns: Box<[usize]>,
    next: AtomicUsize,
}

impl Rotation {
    /// A rotation of weights that are all above 0. `start` is the first turn: gateways that
    /// all begin with the same endpoint would meet there.
    pub(super) fn new(weights: &[u32], start: usize) -> Self {
        Self { turns: turns(weights), next: AtomicUsize::new(start) }
    }

    /// The turns of one round.
    pub(super) fn len(&self) -> usize {
        self.turns.len()
    }

    /// The place whose turn it is.
    pub(super) fn turn(&self) -> Option<usize> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.turns.get(next.checked_rem(self.turns.len())?).copied()
    }
}

fn turns(weights: &[u32]) -> Box<[usize]> {
    let mut due: Vec<(f64, usize)> = Vec::new();
    for (place, count) in counts(weights).into_iter().enumerate() {
        due.extend((0..count).map(|k| ((k as f64 + 0.5) / count as f64, place)));
    }
    due.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    due.into_iter().map(|(_, place)| place).collect()
}

/// The turns of each weight in one round.
fn counts(weights: &[u32]) -> Vec<u64> {
    let divisor = weights.iter().copied().map(u64::from).fold(0, greatest_common_divisor).max(1);
    let reduced: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) / divisor).collect();
    let total: u64 = reduced.iter().sum();
    if total <= MOST_TURNS {
        return reduced;
    }
    reduced.iter().map(|weight| ((weight * MOST_TURNS + total / 2) / total).max(1)).collect()
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round(rotation: &Rotation) -> Vec<usize> {
        (0..rotation.len()).filter_map(|_| rotation.turn()).collect()
    }

    #[test]
    fn equal_weights_go_in_order() {
        assert_eq!(round(&Rotation::new(&[7, 7, 7], 0)), [0, 1, 2]);
        assert_eq!(round(&Rotation::new(&[1, 1, 1], 5)), [2, 0, 1]);
        assert_eq!(Rotation::new(&[], 3).turn(), None);
    }

    #[test]
    fn a_heavy_endpoint_does_not_get_its_turns_in_one_burst() {
        // nginx's own example: not a a a a a b c.
        assert_eq!(round(&Rotation::new(&[5, 1, 1], 0)), [0, 0, 0, 1, 2, 0, 0]);
        assert_eq!(round(&Rotation::new(&[2, 1], 0)), [0, 1, 0]);
    }

    proptest! {
        #[test]
        fn every_round_is_exact_wherever_it_starts(
            weights in prop::collection::vec(1_u32..100, 1..20),
            start in any::<usize>(),
        ) {
            let rotation = Rotation::new(&weights, start);
            let mut seen = vec![0_u32; weights.len()];
            round(&rotation).into_iter().for_each(|place| seen[place] += 1);
            let times = weights[0] / seen[0];
            for (weight, seen) in weights.iter().zip(seen) {
                prop_assert_eq!(*weight, seen * times);
            }
        }

        #[test]
        fn within_a_round_nobody_is_far_from_its_share(
            weights in prop::collection::vec(1_u32..50, 2..8),
        ) {
            let rotation = Rotation::new(&weights, 0);
            let total: f64 = weights.iter().copied().map(f64::from).sum();
            let mut seen = vec![0.0; weights.len()];
            for turn in 1..=rotation.len() {
                seen[rotation.turn().unwrap()] += 1.0;
                for (weight, seen) in weights.iter().zip(&seen) {
                    let due = turn as f64 * f64::from(*weight) / total;
                    prop_assert!((seen - due).abs() < weights.len() as f64 / 2.0 + 1.0);
                }
            }
        }

        #[test]
        fn great_weights_are_rounded_and_nobody_is_forgotten(
            weights in prop::collection::vec(1_u32.., 2..60),
        ) {
            let counts = counts(&weights);
            let turns: u64 = counts.iter().sum();
            prop_assert!(turns <= MOST_TURNS + weights.len() as u64);
            let total: f64 = weights.iter().copied().map(f64::from).sum();
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!(*count >= 1);
                let due = f64::from(*weight) / total * MOST_TURNS as f64;
                prop_assert!((*count as f64 - due).abs() <= 1.0);
            }
        }
    }
}
