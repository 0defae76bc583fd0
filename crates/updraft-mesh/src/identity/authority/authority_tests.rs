//! The laws of the authority: phases of a rotation, lives, and the state at rest.

use proptest::prelude::*;

use super::*;
use crate::identity::bundle::Trust;
use crate::identity::key::KeyPair;
use crate::identity::svid::{NotAnSvid, Svid};
use crate::identity::verifier::verify_chain;

/// 2027, so that nothing depends on today.
const START: u64 = 1_800_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn shop() -> Authority {
    Authority::create("shop".parse().unwrap(), at(START)).unwrap()
}

fn leaf(authority: &Authority, now: u64) -> Result<Leaf, IssueError> {
    let id = "spiffe://shop/cart".parse().unwrap();
    let request = proof::request(&id, &KeyPair::generate().unwrap()).unwrap();
    authority.issue(&request, at(now))
}

fn trusts(bundle: TrustBundle, leaf: &Leaf, now: u64) -> bool {
    let trust = Trust::new("shop".parse().unwrap());
    trust.update(bundle).unwrap();
    verify_chain(&trust, &leaf.chain[0], &leaf.chain[1..], at(now)).is_ok()
}

#[test]
fn a_leaf_is_of_its_service_and_holds_for_an_hour() {
    let authority = shop();
    let leaf = leaf(&authority, START + 7).unwrap();
    let svid = Svid::parse(&leaf.chain[0]).unwrap();
    assert_eq!(svid.id.to_string(), "spiffe://shop/cart");
    assert_eq!(svid.not_before, at(START + 7 - 300));
    assert_eq!((svid.not_after, leaf.not_after), (at(START + 7 + 3600), at(START + 7 + 3600)));
    assert_eq!(leaf.chain.len(), 2);
    for (now, holds) in
        [(START - 294, false), (START, true), (START + 3607, true), (START + 3608, false)]
    {
        assert_eq!(trusts(authority.bundle(), &leaf, now), holds, "{now}");
    }
}

#[test]
fn another_authority_of_the_same_name_is_not_trusted() {
    let (one, other) = (shop(), shop());
    let leaf = leaf(&one, START).unwrap();
    assert!(trusts(one.bundle(), &leaf, START));
    assert!(!trusts(other.bundle(), &leaf, START));
}

#[test]
fn nothing_is_done_when_nothing_is_due() {
    let mut authority = shop();
    let before = (authority.revision(), authority.bundle());
    for now in [START, START - 1000, START + 3 * 86_400] {
        assert_eq!(authority.tick(at(now)).unwrap(), []);
    }
    assert_eq!((authority.revision(), authority.bundle()), before);
}

#[test]
fn a_root_is_replaced_in_phases_and_in_no_other_order() {
    let mut authority = shop();
    let overlap = OVERLAP.as_secs();
    let first = authority.bundle().roots[0].clone();
    assert!(authority.rotate_root(at(START)).unwrap());
    assert!(!authority.rotate_root(at(START)).unwrap(), "one at a time");
    let both = authority.bundle().roots;
    assert_eq!((both.len(), &both[0]), (2, &first));
    let old_issuer = leaf(&authority, START).unwrap().chain[1].clone();

    assert_eq!(authority.tick(at(START + overlap - 1)).unwrap(), []);
    assert_eq!(leaf(&authority, START + overlap - 1).unwrap().chain[1], old_issuer);
    let turns = authority.tick(at(START + overlap)).unwrap();
    assert_eq!(turns, [Turn::RootSigns, Turn::IssuerRenewed]);
    assert_ne!(leaf(&authority, START + overlap).unwrap().chain[1], old_issuer);
    assert_eq!(authority.bundle().roots, [both[1].clone(), first.clone()]);

    assert_eq!(authority.tick(at(START + 2 * overlap - 1)).unwrap(), []);
    assert_eq!(authority.tick(at(START + 2 * overlap)).unwrap(), [Turn::RootDropped]);
    assert_eq!(authority.bundle().roots, both[1..]);
}

#[test]
fn every_change_has_a_greater_sequence_even_of_a_state_begun_anew() {
    let mut authority = shop();
    let mut sequence = authority.bundle().sequence;
    for (step, now) in [START, START, START + 4000, START + 9000].into_iter().enumerate() {
        let changed =
            authority.rotate_root(at(now)).unwrap() | !authority.tick(at(now)).unwrap().is_empty();
        assert_eq!(sequence < authority.bundle().sequence, changed, "step {step}");
        sequence = authority.bundle().sequence;
    }
    let anew = Authority::create("shop".parse().unwrap(), at(START + 10_000)).unwrap();
    assert!(sequence < anew.bundle().sequence);
}

#[test]
fn a_machine_that_slept_for_years_comes_back_with_a_root_that_holds() {
    let mut authority = shop();
    let old = authority.bundle();
    let now = START + 3 * 365 * 86_400;
    assert!(matches!(leaf(&authority, now), Err(IssueError::Expired)));
    let turns = authority.tick(at(now)).unwrap();
    assert_eq!(turns, [Turn::RootPrepared, Turn::RootSigns, Turn::IssuerRenewed]);
    assert!(trusts(authority.bundle(), &leaf(&authority, now).unwrap(), now));
    assert!(authority.bundle().roots.iter().all(|root| !old.roots.contains(root)));
}

#[test]
fn nothing_outlives_what_signed_it() {
    let mut authority = shop();
    let end = START + ROOT_LIFE.as_secs();
    // Ticked up to its last day, but never in time to replace the root.
    authority.next = None;
    let late = end - 1800;
    authority.issuer = authority.root.issuer(&authority.system, at(late)).unwrap();
    assert_eq!(leaf(&authority, late).unwrap().not_after, at(end));
}

#[test]
fn an_authority_is_no_workload() {
    let authority = shop();
    for signer in [&authority.root, &authority.issuer] {
        assert_eq!(Svid::parse(&signer.certificate), Err(NotAnSvid::Authority));
    }
}

#[test]
fn an_unproven_request_and_a_time_beyond_all_are_refused() {
    let authority = shop();
    let id = "spiffe://shop/cart".parse().unwrap();
    let mut request = proof::request(&id, &KeyPair::generate().unwrap()).unwrap();
    request.service = "pricing".parse().unwrap();
    assert!(matches!(authority.issue(&request, at(START)), Err(IssueError::Unproven(_))));
    let created = Authority::create("shop".parse().unwrap(), at(u64::MAX));
    assert!(matches!(created, Err(CertifyError::Time(u64::MAX))));
}

/// One who fetches leaf and bundle at half life, as gateways do, and misses some renewals.
struct Fetcher {
    leaf: Leaf,
    bundle: TrustBundle,
    due: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The law of rotation: whoever has a leaf that holds is trusted by whoever has fetched
    /// a bundle while its own leaf holds.
    #[test]
    fn whatever_is_rotated_when_everyone_trusts_everyone(
        steps in proptest::collection::vec((1_u64..1700, any::<bool>(), 0_u8..8), 1..40),
    ) {
        let mut authority = shop();
        let mut now = START;
        let fetch = |authority: &Authority, now: u64| Fetcher {
            leaf: leaf(authority, now).unwrap(),
            bundle: authority.bundle(),
            due: now + 1800,
        };
        let mut fetchers = [fetch(&authority, now), fetch(&authority, now)];
        for (pause, rotate, who) in steps {
            now += pause;
            if rotate {
                authority.rotate_root(at(now)).unwrap();
            }
            authority.tick(at(now)).unwrap();
            for (index, fetcher) in fetchers.iter_mut().enumerate() {
                let misses = who & 1 << index != 0 && now + 1700 < fetcher.leaf.not_after.as_secs();
                if fetcher.due <= now && !misses {
                    *fetcher = fetch(&authority, now);
                }
            }
            for one in &fetchers {
                for other in &fetchers {
                    prop_assert!(one.leaf.not_after > at(now), "the model renews in time");
                    prop_assert!(trusts(one.bundle.clone(), &other.leaf, now));
                }
            }
            prop_assert!(authority.bundle().roots.len() <= 3);
        }
    }
}

fn rotating() -> Authority {
    let mut authority = shop();
    authority.rotate_root(at(START)).unwrap();
    authority.tick(at(START + OVERLAP.as_secs())).unwrap();
    authority.rotate_root(at(START + OVERLAP.as_secs())).unwrap();
    assert_eq!(authority.bundle().roots.len(), 3, "both a next and a retired root");
    authority
}

#[test]
fn what_was_sealed_goes_on_where_it_was() {
    let key = SealKey::generate().unwrap();
    for mut authority in [shop(), rotating()] {
        let sealed = authority.seal(&key).unwrap();
        let mut opened = Authority::open(&sealed, &key).unwrap();
        assert_eq!(opened.bundle(), authority.bundle());
        assert_eq!(opened.system(), authority.system());
        let now = START + 2 * OVERLAP.as_secs();
        assert!(trusts(authority.bundle(), &leaf(&opened, now).unwrap(), now));
        assert_eq!(opened.tick(at(now)).unwrap(), authority.tick(at(now)).unwrap());
        assert_ne!(sealed, opened.seal(&key).unwrap());
    }
}

#[test]
fn any_flipped_byte_any_cut_and_any_other_key_is_refused() {
    let key = SealKey::generate().unwrap();
    let sealed = rotating().seal(&key).unwrap();
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(Authority::open(&flipped, &key).is_err(), "byte {at}");
    }
    for length in (0..sealed.len()).step_by(7) {
        assert!(Authority::open(&sealed[..length], &key).is_err(), "{length} bytes");
    }
    let other = SealKey::generate().unwrap();
    assert!(matches!(Authority::open(&sealed, &other), Err(OpenError::Decrypt)));
    let mut newer = sealed.clone();
    newer[4] = 2;
    assert!(matches!(Authority::open(&newer, &key), Err(OpenError::Version(2))));
    let kept = SealKey::from_bytes(zeroize::Zeroizing::new(*key.expose()));
    assert!(Authority::open(&sealed, &kept).is_ok());
}

#[test]
fn neither_the_sealed_state_nor_debug_shows_a_key_or_a_certificate() {
    let authority = shop();
    let key = SealKey::generate().unwrap();
    let sealed = authority.seal(&key).unwrap();
    let shows = |part: &[u8]| sealed.windows(part.len()).any(|window| window == part);
    assert!(!shows(&authority.root.key.pkcs8()[36..52]));
    assert!(!shows(&authority.root.certificate[..16]));
    assert!(!shows(b"shop"));
    assert!(sealed.len() < 8 * 1024, "the room for a plain state is enough");
    let debug = format!("{authority:?} {key:?}");
    assert_eq!(
        debug,
        format!("Authority {{ system: Name(\"shop\"), sequence: {START}, .. }} SealKey")
    );
}

#[test]
fn a_state_fits_into_the_room_made_for_it() {
    let longest = "s".repeat(Name::LENGTH_MAX).parse().unwrap();
    let mut authority = Authority::create(longest, at(START)).unwrap();
    authority.rotate_root(at(START)).unwrap();
    authority.tick(at(START + OVERLAP.as_secs())).unwrap();
    authority.rotate_root(at(START + OVERLAP.as_secs())).unwrap();
    let sealed = authority.seal(&SealKey::generate().unwrap()).unwrap();
    assert!(sealed.len() < 4 * 1024, "{}", sealed.len());
}
