//! The hash of keys. It is the same in every process, so that two gateways send one key to one
//! endpoint and one version; hashers with a seed per process, such as those of `HashMap`,
//! would not do.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash of the value of a header or cookie: 64-bit FNV-1a (Fowler, Noll, Vo;
/// `draft-eastlake-fnv`), and [`mixed`] after it, because the high bits of FNV-1a hardly change
/// with the last bytes of a short key. About 1 ns per byte.
///
/// It resists no attacker: who chooses keys can choose their endpoint. That is what a key of
/// affinity is for.
pub(crate) fn key_hash(key: &[u8]) -> u64 {
    mixed(fnv1a(key))
}

/// Plain FNV-1a.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// The finaliser of MurmurHash3 (Appleby, `fmix64`): each bit of the input changes each bit
/// of the result with a probability of about one half. No two inputs have one result.
pub(super) const fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// A number in (0, 1) from the 53 highest bits: never 0, so that it has a logarithm.
pub(super) fn unit(hash: u64) -> f64 {
    ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fnv_1a_as_its_authors_tabulate_it() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn two_gateways_agree_for_ever() {
        // A change of these numbers moves every user to another endpoint.
        assert_eq!(key_hash(b"ada"), 0x21a5_12b9_376a_50e9);
        assert_eq!(key_hash(b""), 0xefd0_1f60_ba99_2926);
    }

    #[test]
    fn keys_that_count_up_spread_over_high_and_low_bits() {
        let (mut high, mut low) = ([0_u32; 16], [0_u32; 16]);
        for n in 0..16_000 {
            let hash = key_hash(format!("user-{n}").as_bytes());
            high[usize::try_from(hash >> 60).unwrap()] += 1;
            low[usize::try_from(hash & 15).unwrap()] += 1;
        }
        for count in high.into_iter().chain(low) {
            assert!((850..1150).contains(&count), "{high:?} {low:?}");
        }
    }

    #[test]
    fn a_unit_is_never_0_or_1() {
        assert!(unit(0) > 0.0);
        assert!(unit(u64::MAX) <= 1.0 - f64::EPSILON / 4.0);
        assert!(unit(u64::MAX).ln() <= 0.0);
    }
}
