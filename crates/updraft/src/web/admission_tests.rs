//! Who is let in, who waits and who is refused.

use super::*;

fn admission(max: u32) -> Admission {
    let cap = Cap::Fixed(NonZeroU32::new(max).unwrap());
    Admission::new(cap, None, Clock::system(), Gauge::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_waits_and_the_next_is_refused_at_once() {
    let admission = admission(2);
    let first = admission.enter(admission.clock.now()).await.unwrap();
    let _second = admission.enter(admission.clock.now()).await.unwrap();
    let waiting = admission.enter(admission.clock.now());
    tokio::pin!(waiting);
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert_eq!(admission.waiting.get(), 1);
    let refused = admission.enter(admission.clock.now()).await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    first.done(StatusCode::OK);
    assert!(waiting.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_refused_and_leaves_the_line() {
    let admission = admission(1);
    let _first = admission.enter(admission.clock.now()).await.unwrap();
    assert!(admission.enter(admission.clock.now()).await.is_err());
    assert_eq!(admission.waiting.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_gives_back_its_place_or_its_turn() {
    let admission = admission(1);
    let first = admission.enter(admission.clock.now()).await.unwrap();
    {
        let mut gone = Box::pin(admission.enter(admission.clock.now()));
        assert!(futures_util::poll!(&mut gone).is_pending());
    }
    assert_eq!(admission.waiting.get(), 0);
    drop(first);
    {
        // It was handed the place and went away before it saw it.
        let held = admission.enter(admission.clock.now()).await.unwrap();
        let mut gone = Box::pin(admission.enter(admission.clock.now()));
        assert!(futures_util::poll!(&mut gone).is_pending());
        drop(held);
    }
    assert!(admission.enter(admission.clock.now()).await.is_ok());
}

#[tokio::test]
async fn an_adaptive_cap_follows_the_latency() {
    let hand = updraft_resilience::ManualClock::new();
    let admission = Admission::new(Cap::Auto, None, hand.clock(), Gauge::default()).unwrap();
    let before = admission.places.config().max;
    for _ in 0..100 {
        let mut entered = Vec::new();
        for _ in 0..admission.places.config().max {
            entered.push(admission.enter(admission.clock.now()).await.unwrap());
        }
        hand.advance(Duration::from_millis(50));
        for entered in entered {
            entered.done(StatusCode::OK);
        }
    }
    assert!(before < admission.places.config().max, "it bears more");
    assert_eq!(admission.places.in_use(), 0);
}

#[test]
fn a_cap_is_a_number_or_auto() {
    assert_eq!(Cap::parse("auto"), Ok(Cap::Auto));
    assert_eq!(Cap::parse("7").unwrap().show(), "7");
    for wrong in ["0", "-1", "many", "1000001"] {
        assert!(Cap::parse(wrong).is_err(), "{wrong}");
    }
}
