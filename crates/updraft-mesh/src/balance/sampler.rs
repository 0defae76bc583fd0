//! Chance in proportion to weights, in constant time: the alias method (Walker 1977, with the
//! construction of Vose 1991).

/// Draws places of a list of weights.
#[derive(Debug)]
pub(super) struct Sampler {
    count: u64,
    /// For each place: below the threshold it is this place, from there on the alias. Empty
    /// when all weights are equal.
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Of 2^32.
    threshold: u64,
    alias: usize,
}

impl Sampler {
    /// A sampler of weights that are all above 0.
    pub(super) fn new(weights: &[u32]) -> Self {
        let count = u64::try_from(weights.len()).unwrap_or(u64::MAX);
        let alike = weights.windows(2).all(|pair| pair.first() == pair.last());
        let slots = if alike { Box::default() } else { slots(weights) };
        Self { count, slots }
    }

    /// A place of the list; 0 when it is empty.
    #[inline]
    pub(super) fn draw(&self, rng: &mut fastrand::Rng) -> usize {
        let random = rng.u64(..);
        let (high, low) = (random >> 32, random & u64::from(u32::MAX));
        let place = usize::try_from((high * self.count) >> 32).unwrap_or_default();
        match self.slots.get(place) {
            Some(slot) if low >= slot.threshold => slot.alias,
            _ => place,
        }
    }
}

fn slots(weights: &[u32]) -> Box<[Slot]> {
    let total: u128 = weights.iter().copied().map(u128::from).sum();
    let count = u128::try_from(weights.len()).unwrap_or(u128::MAX);
    let mut slots = vec![Slot::default(); weights.len()];
    // Each weight as a multiple of the mean, in units of 1 / total.
    let mut parts: Vec<u128> = weights.iter().map(|weight| u128::from(*weight) * count).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|place| parts.get(*place).is_some_and(|part| *part < total));
    while let (Some(&lack), Some(&rich)) = (small.last(), large.last()) {
        small.pop();
        let (Some(&part), Some(slot)) = (parts.get(lack), slots.get_mut(lack)) else { continue };
        let threshold = u64::try_from((part << 32) / total.max(1)).unwrap_or(u64::MAX);
        *slot = Slot { threshold, alias: rich };
        if let Some(left) = parts.get_mut(rich) {
            *left = (*left + part).saturating_sub(total);
            if *left < total {
                large.pop();
                small.push(rich);
            }
        }
    }
    for place in small.into_iter().chain(large) {
        if let Some(slot) = slots.get_mut(place) {
            *slot = Slot { threshold: u64::MAX, alias: place };
        }
    }
    slots.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The exact probability of each place.
    fn chances(sampler: &Sampler) -> Vec<f64> {
        let count = usize::try_from(sampler.count).unwrap();
        let mut chances = vec![0.0; count];
        for place in 0..count {
            let own = match sampler.slots.get(place) {
                Some(slot) => {
                    let own = (slot.threshold as f64 / 4_294_967_296.0).min(1.0);
                    chances[slot.alias] += (1.0 - own) / count as f64;
                    own
                }
                None => 1.0,
            };
            chances[place] += own / count as f64;
        }
        chances
    }

    proptest! {
        #[test]
        fn every_place_has_the_chance_of_its_weight(
            weights in prop::collection::vec(1_u32.., 1..40),
        ) {
            let total: f64 = weights.iter().copied().map(f64::from).sum();
            for (chance, weight) in chances(&Sampler::new(&weights)).iter().zip(&weights) {
                prop_assert!((chance - f64::from(*weight) / total).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn draws_follow_the_chances() {
        let mut rng = fastrand::Rng::with_seed(3);
        for weights in [vec![1, 1, 1, 1], vec![1, 2, 3, 10]] {
            let sampler = Sampler::new(&weights);
            let mut drawn = [0_u32; 4];
            (0..64_000).for_each(|_| drawn[sampler.draw(&mut rng)] += 1);
            let total: u32 = weights.iter().sum();
            for (count, weight) in drawn.iter().zip(&weights) {
                let expected = f64::from(64_000 * weight / total);
                assert!((f64::from(*count) / expected - 1.0).abs() < 0.05, "{drawn:?}");
            }
        }
    }
}
