//! Which version a request goes to, by weight, and the same one for the same key.

use updraft_system::Name;
use updraft_system::mesh::{HashBy, Split};

use super::hash::{fnv1a, mixed, unit};

/// A split of requests over versions, prepared for choosing.
///
/// With a key it is weighted rendezvous hashing (Thaler and Ravishankar 1998; the logarithmic
/// weights are of Schindelhauer and Schomaker, *Weighted Distributed Hash Tables*, 2005): each
/// version scores `-ln(hash of key and version) / weight`, and the lowest has the key. So a key
/// keeps its version as long as the weights are the same, in every gateway; and when they
/// change, a key goes from one version to another only if the second has gained against the
/// first. Of two versions exactly the share moves that must.
#[derive(Debug)]
pub(crate) struct VersionSplit {
    versions: Box<[Version]>,
    total: u64,
    sticky: Option<HashBy>,
}

#[derive(Debug)]
struct Version {
    name: Name,
    hash: u64,
    weight: u32,
}

impl VersionSplit {
    /// Of the configuration; versions of the weight 0 get nothing.
    pub(crate) fn new(split: &Split) -> Self {
        let weighed = split.weights.iter().filter(|(_, weight)| **weight > 0);
        let versions = weighed.map(|(name, weight)| Version {
            name: name.clone(),
            hash: mixed(fnv1a(name.as_str().as_bytes())),
            weight: *weight,
        });
        let total = split.weights.values().copied().map(u64::from).sum();
        Self { versions: versions.collect(), total, sticky: split.sticky.clone() }
    }

    /// Where the key of a request is, if requests of one key stay with one version.
    pub(crate) const fn sticky(&self) -> Option<&HashBy> {
        self.sticky.as_ref()
    }

    /// The version of a request: by the [`key_hash`](super::key_hash) of its key, or by chance
    /// when it has none. `None` when no version has a weight.
    pub(crate) fn choose(&self, hash: Option<u64>, rng: &mut fastrand::Rng) -> Option<&Name> {
        let chosen = match hash {
            Some(hash) => {
                let score = |version: &Version| {
                    -unit(mixed(hash ^ version.hash)).ln() / f64::from(version.weight)
                };
                self.versions.iter().min_by(|one, other| score(one).total_cmp(&score(other)))
            }
            None if self.total == 0 => None,
            None => {
                let mut left = rng.u64(..self.total);
                self.versions.iter().find(|version| {
                    let weight = u64::from(version.weight);
                    let found = left < weight;
                    left = left.saturating_sub(weight);
                    found
                })
            }
        };
        chosen.map(|version| &version.name)
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
