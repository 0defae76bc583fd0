//! Addresses, their breakers and their order.

use super::*;
use crate::config::Variable as _;

async fn addresses(url: &str) -> Addresses {
    let url = ServiceUrl::parse(url).unwrap();
    let series = Arc::new(ClientSeries::new("ledger"));
    let breaker = super::super::settings::policy().breaker;
    let addresses = Addresses::new(url, breaker, Tls::default(), Clock::system(), series).unwrap();
    addresses.current().await.unwrap();
    addresses
}

#[tokio::test]
async fn the_less_busy_of_two_is_chosen() {
    let addresses = addresses("http://127.0.0.1:1,http://127.0.0.1:2").await;
    let known = addresses.known();
    let held: Vec<_> =
        (0..10).map(|_| addresses.choose(&known, &Tried::default()).ok().unwrap()).collect();
    let busy: Vec<_> = known.iter().map(|it| it.outstanding.load(Ordering::Relaxed)).collect();
    assert_eq!(busy, [5, 5]);
    drop(held);
    let busy: Vec<_> = known.iter().map(|it| it.outstanding.load(Ordering::Relaxed)).collect();
    assert_eq!(busy, [0, 0]);
}

#[tokio::test]
async fn what_was_tried_or_gave_no_answer_is_chosen_last() {
    let addresses = addresses("http://127.0.0.1:1,http://127.0.0.1:2,http://127.0.0.1:3").await;
    let known = addresses.known();
    let tried = Tried::default();
    tried.add(&known[0]);
    known[1].note(true, addresses.clock.now());
    for _ in 0..20 {
        let lease = addresses.choose(&known, &tried).ok().unwrap();
        assert_eq!(lease.address().number, known[2].number);
    }
    tried.add(&known[2]);
    assert!(addresses.choose(&known, &tried).is_ok(), "one is better than none");
    known[1].note(false, addresses.clock.now());
    for _ in 0..20 {
        let lease = addresses.choose(&known, &tried).ok().unwrap();
        assert_eq!(lease.address().number, known[1].number);
    }
}

#[tokio::test]
async fn an_address_whose_breaker_is_open_is_not_chosen_at_all() {
    let addresses = addresses("http://127.0.0.1:1,http://127.0.0.1:2").await;
    let known = addresses.known();
    let open = |address: &Address| address.breaker.as_ref().unwrap().force_open();
    open(&known[0]);
    for _ in 0..20 {
        let lease = addresses.choose(&known, &Tried::default()).ok().unwrap();
        assert_eq!(lease.address().number, known[1].number);
    }
    open(&known[1]);
    assert!(addresses.choose(&known, &Tried::default()).is_err());
}

#[tokio::test]
async fn a_path_of_the_url_is_before_that_of_the_call() {
    let addresses = addresses("http://127.0.0.1:81/api").await;
    let known = addresses.known();
    let uri = known[0].uri(&"/orders?limit=1".parse().unwrap()).unwrap();
    assert_eq!(uri.to_string(), "http://127.0.0.1:81/api/orders?limit=1");
}

#[tokio::test]
async fn what_stays_keeps_what_is_known_of_it() {
    let addresses = addresses("http://127.0.0.1:1,http://127.0.0.1:2").await;
    let before = addresses.known();
    addresses
        .replace(Found {
            addresses: vec![(1, before[1].socket), (0, "127.0.0.3:1".parse().ok())],
            unknown: Vec::new(),
        })
        .unwrap();
    let after = addresses.known();
    assert!(Arc::ptr_eq(&before[1], &after[0]));
    assert!(!before.iter().any(|it| Arc::ptr_eq(it, &after[1])));
    // A name that cannot be looked up any more is no news of its addresses.
    let found = Found { addresses: vec![(0, after[1].socket)], unknown: vec![1] };
    addresses.replace(found).unwrap();
    let last = addresses.known();
    assert_eq!(last.len(), 2);
    assert!(after.iter().all(|it| last.iter().any(|last| Arc::ptr_eq(it, last))));
}
