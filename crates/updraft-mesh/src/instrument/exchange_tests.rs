//! The questions of the gateway, and the answers to them.

use std::sync::Arc;
use std::time::Duration;

use super::super::{Epoch, Existing, Filter, Patience, Setting, Target, When};
use super::*;

fn request(path: &str, since: Epoch) -> Request<'_> {
    Request { connection: ConnectionId(1), since, method: "GET", path, bytes: Some(10) }
}

const RESPONSE: Response = Response { status: 503, bytes: None };

async fn before(instrument: &Instrument, path: &str) -> Decision {
    instrument.before_request(&request(path, instrument.epoch()), None).await
}

async fn after(instrument: &Instrument, path: &str) -> Decision {
    let request = request(path, instrument.epoch());
    instrument.before_response(&request, &RESPONSE, None).await
}

#[tokio::test]
async fn each_setting_gives_its_decision() {
    let instrument = Instrument::new("shop-cart");
    let other = "127.0.0.1:9".parse().unwrap();
    let cut = |when| Setting::Cut {
        when,
        target: Target::matching(Filter::asking("get /cart").unwrap()),
        manner: Manner::Reset,
    };
    let reset = Decision::Cut(Manner::Reset);
    for (setting, sent, answered) in [
        (Setting::Pass, Decision::Pass, Decision::Pass),
        (cut(When::BeforeRequest), reset, Decision::Pass),
        (cut(When::AfterRequest), Decision::CutAfterRequest(Manner::Reset), Decision::Pass),
        (cut(When::BeforeResponse), Decision::Pass, reset),
        (
            cut(When::MidResponse { after: 7 }),
            Decision::Pass,
            Decision::CutMidResponse(Manner::Reset, 7),
        ),
        (cut(When::Now { refuse: false }), Decision::Pass, Decision::Pass),
        (cut(When::Now { refuse: true }), reset, reset),
        (
            Setting::Swap { to: other, existing: Existing::Finish },
            Decision::Divert(other),
            Decision::Pass,
        ),
    ] {
        instrument.set(setting.clone());
        assert_eq!(before(&instrument, "/cart/7").await, sent, "{setting:?}");
        assert_eq!(after(&instrument, "/cart/7").await, answered, "{setting:?}");
        if !matches!(setting, Setting::Swap { .. } | Setting::Cut { when: When::Now { .. }, .. }) {
            assert_eq!(before(&instrument, "/other").await, Decision::Pass, "{setting:?}");
            assert_eq!(after(&instrument, "/other").await, Decision::Pass, "{setting:?}");
        }
    }
}

#[tokio::test]
async fn a_response_can_be_told_by_its_status() {
    let instrument = Instrument::new("shop-cart");
    let target = Target::matching(Filter::saying("50").unwrap());
    instrument.set(Setting::Cut { when: When::BeforeResponse, target, manner: Manner::Close });
    assert_eq!(after(&instrument, "/").await, Decision::Cut(Manner::Close));
    let request = request("/", instrument.epoch());
    let fine = Response { status: 200, bytes: None };
    assert_eq!(instrument.before_response(&request, &fine, None).await, Decision::Pass);
}

fn hold(patience: Patience) -> Setting {
    Setting::Hold { on: Direction::Request, target: Target::whole(), patience }
}

fn spawn(
    instrument: &Arc<Instrument>,
    deadline: Option<Instant>,
) -> tokio::task::JoinHandle<Decision> {
    let instrument = Arc::clone(instrument);
    tokio::spawn(async move {
        let request = request("/", instrument.epoch());
        instrument.before_request(&request, deadline).await
    })
}

#[tokio::test(start_paused = true)]
async fn a_held_request_waits_for_its_release() {
    let instrument = Instrument::new("shop-cart");
    instrument.set(hold(Patience::UntilReleased));
    let deadline = Instant::now() + Duration::from_secs(1);
    let held = [spawn(&instrument, Some(deadline)), spawn(&instrument, None)];
    instrument.until_held(2).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(instrument.release(), 2);
    for held in held {
        assert_eq!(held.await.unwrap(), Decision::Pass);
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_ends_a_hold_that_heeds_it() {
    let instrument = Instrument::new("shop-cart");
    instrument.set(hold(Patience::CallersDeadline));
    let before = Instant::now();
    let held = spawn(&instrument, Some(before + Duration::from_secs(3)));
    assert_eq!(held.await.unwrap(), Decision::TooLate);
    assert_eq!(before.elapsed(), Duration::from_secs(3));
    assert_eq!(instrument.counts().held_now, 0);
}

#[tokio::test]
async fn a_caller_who_has_gone_is_held_no_more() {
    let instrument = Instrument::new("shop-cart");
    instrument.set(hold(Patience::UntilReleased));
    let (gone, stays) = (spawn(&instrument, None), spawn(&instrument, None));
    instrument.until_held(2).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert_eq!(instrument.counts().held_now, 1);
    assert!(instrument.release_next());
    assert_eq!(stays.await.unwrap(), Decision::Pass);
}

#[tokio::test]
async fn a_cut_now_reaches_what_is_held_delayed_and_stalled() {
    let delay = Setting::Delay {
        on: None,
        target: Target::whole(),
        by: Duration::from_secs(3600),
        jitter: Duration::ZERO,
        share: updraft_system::mesh::Share::percent(100),
        seed: 0,
    };
    let stall = Setting::Stall { on: None, target: Target::whole() };
    for setting in [hold(Patience::UntilReleased), delay, stall] {
        let instrument = Instrument::new("shop-cart");
        instrument.set(setting);
        let held = spawn(&instrument, None);
        let caught = || {
            let counts = instrument.counts();
            counts.held_now + counts.delayed + counts.stalled > 0
        };
        while !caught() {
            tokio::task::yield_now().await;
        }
        let when = When::Now { refuse: false };
        instrument.set(Setting::Cut { when, target: Target::whole(), manner: Manner::Reset });
        assert_eq!(held.await.unwrap(), Decision::Cut(Manner::Reset));
        assert_eq!(before(&instrument, "/").await, Decision::Pass);
    }
}

#[tokio::test]
async fn only_so_many_are_taken_and_not_the_first() {
    let instrument = Instrument::new("shop-cart");
    let target = Target::whole().after(2).at_most(3);
    instrument.set(Setting::Cut { when: When::BeforeRequest, target, manner: Manner::Close });
    let mut cut = Vec::new();
    for number in 0..10 {
        if before(&instrument, "/").await != Decision::Pass {
            cut.push(number);
        }
    }
    assert_eq!(cut, [2, 3, 4]);
}

#[test]
fn the_future_of_a_request_that_passes_is_small() {
    let instrument = Instrument::new("shop-cart");
    let request = request("/", instrument.epoch());
    let future = instrument.before_request(&request, None);
    assert!(size_of_val(&future) <= 96, "{} bytes", size_of_val(&future));
}

#[tokio::test]
async fn nothing_is_counted_unless_it_is_asked_for() {
    let instrument = Instrument::new("shop-cart");
    assert_eq!(before(&instrument, "/").await, Decision::Pass);
    assert_eq!(instrument.counts().messages_to_server, 0);
    instrument.count(true);
    assert_eq!(before(&instrument, "/").await, Decision::Pass);
    instrument.count(false);
    assert_eq!(before(&instrument, "/").await, Decision::Pass);
    assert_eq!(instrument.counts().messages_to_server, 1);
}
