//! Consistent hashing: one key goes to one endpoint, and when the list changes few keys move.
//!
//! The lookup table of Maglev (Eisenbud et al., *Maglev: A Fast and Reliable Software Network
//! Load Balancer*, NSDI 2016, section 3.4), with weights as in Envoy: in each round of filling,
//! an endpoint takes a slot when its weight, summed over the rounds, has grown by another
//! whole. The table is made of the addresses alone, in their order, so that all gateways have the
//! same, and an endpoint that starts again keeps its keys.
//!
//! The size is fixed, for a size that grows with the list would move nearly all keys at each
//! step. It gives each of 160 endpoints the 100 slots that the paper wants for an even load.

use std::net::{IpAddr, SocketAddr};

use super::hash::{fnv1a, mixed};

/// Slots: the greatest prime below 2^14.
const SLOTS: u32 = 16_381;
/// How many slots are looked at, before the list is gone through in order.
const NEXT_MOST: u64 = 64;
/// Between the hashes that follow one: the golden ratio of 2^64, as in SplitMix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Which endpoint a hash leads to.
#[derive(Debug)]
pub(super) struct Maglev {
    /// Places of the list.
    slots: Box<[u32]>,
    count: usize,
}

/// How one endpoint fills the table.
struct Filling {
    offset: u64,
    skip: u64,
    tried: u64,
    weight: f64,
    due: f64,
}

impl Filling {
    fn new(address: SocketAddr, weight: f64) -> Self {
        let hash = address_hash(address);
        let size = u64::from(SLOTS);
        let skip = mixed(hash) % (size - 1) + 1;
        Self { offset: hash % size, skip, tried: 0, weight, due: 0.0 }
    }

    /// The next slot it prefers: a permutation, as the size is prime.
    fn next(&mut self) -> usize {
        let slot = (self.offset + self.tried * self.skip) % u64::from(SLOTS);
        self.tried += 1;
        usize::try_from(slot).unwrap_or_default()
    }
}

impl Maglev {
    /// The table of these addresses and their weights, all above 0.
    pub(super) fn new(endpoints: &[(SocketAddr, u32)]) -> Self {
        let heaviest = endpoints.iter().map(|(_, weight)| *weight).max().map_or(1.0, f64::from);
        let mut fillings: Vec<Filling> = endpoints
            .iter()
            .map(|(address, weight)| Filling::new(*address, f64::from(*weight) / heaviest))
            .collect();
        let size = usize::try_from(SLOTS).unwrap_or_default();
        let mut slots: Vec<Option<u32>> = vec![None; size];
        let mut free = if endpoints.is_empty() { 0 } else { size };
        while free > 0 {
            for (place, filling) in (0_u32..).zip(&mut fillings) {
                filling.due += filling.weight;
                if filling.due < 1.0 || free == 0 {
                    continue;
                }
                filling.due -= 1.0;
                let slot = (0..size).map(|_| filling.next()).find(|slot| slots[*slot].is_none());
                if let Some(slot) = slot.and_then(|slot| slots.get_mut(slot)) {
                    *slot = Some(place);
                    free -= 1;
                }
            }
        }
        let slots = slots.into_iter().flatten().collect();
        Self { slots, count: endpoints.len() }
    }

    /// The places that a hash leads to: its home, then where it goes when that may not be, and
    /// so on until every place was named at least once. What follows is drawn from the table by
    /// further hashes, and not from the slots beside the home, whose owners are not independent
    /// of each other: so the keys of an endpoint that is gone go to all others in proportion to
    /// their weights.
    pub(super) fn places(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let others =
            (1..NEXT_MOST).map(move |step| mixed(hash.wrapping_add(step.wrapping_mul(STEP))));
        let slot = |hash: u64| usize::try_from(hash % u64::from(SLOTS)).ok();
        let drawn = std::iter::once(hash)
            .chain(others)
            .filter_map(move |hash| usize::try_from(*self.slots.get(slot(hash)?)?).ok());
        let home = slot(hash).unwrap_or_default();
        drawn.chain((0..self.count).map(move |step| (home + step) % self.count))
    }
}

fn address_hash(address: SocketAddr) -> u64 {
    let mut bytes = [0_u8; 18];
    let (ip, port) = bytes.split_at_mut(16);
    // An IPv4 address as IPv6 writes it (RFC 4291, section 2.5.5.2).
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    ip.copy_from_slice(&octets);
    port.copy_from_slice(&address.port().to_be_bytes());
    mixed(fnv1a(&bytes))
}

#[cfg(test)]
#[path = "maglev_tests.rs"]
mod tests;
