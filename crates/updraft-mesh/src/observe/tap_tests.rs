//! Who listens gets their share, loses only their own events, and sees no secret.

use std::time::Duration;

use http::HeaderValue;
use updraft_system::mesh::Protocol;

use super::super::TraceContext;
use super::*;

fn event(number: u32) -> TapEvent {
    let trace = TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let to = "pricing".parse().unwrap();
    AccessRecord {
        unix_nanos: 1_700_000_000_000_000_000,
        trace: trace.unwrap(),
        request_id: "r-1",
        from: &"cart".parse().unwrap(),
        to: Some(&to),
        operation: "GET /",
        method: "GET",
        path: "/?secret=1",
        status: Some(200),
        duration: Duration::from_micros(7),
        request_bytes: 0,
        response_bytes: 0,
        attempts: number,
        endpoint: None,
        refused: None,
        protocol: Protocol::Http1,
    }
    .tap_event(&to, Vec::new(), Vec::new())
}

fn all() -> Share {
    Share::percent(100)
}

fn rng() -> fastrand::Rng {
    fastrand::Rng::with_seed(5)
}

#[test]
fn nobody_pays_for_events_that_nobody_wants() {
    let tap = Arc::new(Tap::default());
    let subscription = tap.subscribe(Share::percent(0)).unwrap();
    let mut rng = rng();
    for _ in 0..100_000 {
        tap.offer(&mut rng, || panic!("made for nobody"));
    }
    drop(subscription);
    assert!(!tap.is_on());
    tap.offer(&mut rng, || panic!("made for nobody"));
}

#[tokio::test]
async fn everybody_who_listens_gets_the_events_in_order() {
    let tap = Arc::new(Tap::default());
    let mut one = tap.subscribe(all()).unwrap();
    let mut other = tap.subscribe(all()).unwrap();
    assert!(tap.is_on());
    for number in 0..3 {
        tap.offer(&mut rng(), || event(number));
    }
    for number in 0..3 {
        for tapped in [one.next().await.unwrap(), other.next().await.unwrap()] {
            assert_eq!(tapped.event, event(number));
            assert_eq!((tapped.share, tapped.dropped), (all(), 0));
        }
    }
    assert_eq!(event(0).path, "/");
}

#[tokio::test]
async fn a_slow_reader_loses_its_own_events_only_and_is_told_how_many() {
    let tap = Arc::new(Tap::default());
    let mut slow = tap.subscribe(all()).unwrap();
    let mut quick = tap.subscribe(all()).unwrap();
    let more = 5;
    for number in 0..Tap::EVENTS_MAX + more {
        tap.offer(&mut rng(), || event(u32::try_from(number).unwrap()));
        quick.next().await.unwrap();
    }
    assert_eq!((slow.dropped(), quick.dropped(), tap.dropped()), (5, 0, 5));
    for number in 0..Tap::EVENTS_MAX {
        let tapped = slow.next().await.unwrap();
        assert_eq!(usize::try_from(tapped.event.attempts).unwrap(), number);
    }
    tap.offer(&mut rng(), || event(1));
    assert_eq!(slow.next().await.unwrap().dropped, 5);
}

#[test]
fn when_one_leaves_the_others_go_on() {
    let tap = Arc::new(Tap::default());
    let one = tap.subscribe(all()).unwrap();
    let mut other = tap.subscribe(all()).unwrap();
    drop(one);
    tap.offer(&mut rng(), || event(1));
    assert_eq!(other.events.try_recv().unwrap().event, event(1));
    assert_eq!(other.dropped(), 0);
}

#[test]
fn a_share_of_the_requests_is_told() {
    let tap = Arc::new(Tap::default());
    let subscription = tap.subscribe(Share::percent(25)).unwrap();
    let mut rng = rng();
    let mut made = 0;
    for _ in 0..10_000 {
        tap.offer(&mut rng, || {
            made += 1;
            event(1)
        });
    }
    // Five standard deviations are 217.
    assert!((2_280..2_720).contains(&made), "{made}");
    assert_eq!(subscription.dropped(), made - Tap::EVENTS_MAX as u64);
}

#[test]
fn only_so_many_may_listen() {
    let tap = Arc::new(Tap::default());
    let mut taps: Vec<_> =
        (0..Tap::SUBSCRIBERS_MAX).map(|_| tap.subscribe(all()).unwrap()).collect();
    assert_eq!(tap.subscribe(all()).unwrap_err(), TapTooMany);
    taps.pop();
    taps.push(tap.subscribe(all()).unwrap());
    drop(taps);
    assert!(!tap.is_on());
}

#[test]
fn values_of_headers_are_shown_only_where_they_are_harmless() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("accept", "text/html"),
        ("content-length", "7"),
        ("content-type", "text/plain"),
        ("user-agent", "curl"),
        ("authorization", "Bearer secret"),
        ("cookie", "secret"),
        ("set-cookie", "secret"),
        ("accept-language", "secret"),
        ("x-user-agent", "secret"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers.append("accept", HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    headers.append("accept", HeaderValue::from_str(&"a".repeat(10_000)).unwrap());
    let shown = shown(&headers);
    assert_eq!(shown.len(), headers.len());
    for header in &shown {
        let harmless = ["accept", "content-length", "content-type", "user-agent"];
        let redacted = header.value == TapHeader::REDACTED;
        assert_eq!(redacted, !harmless.contains(&&*header.name), "{header:?}");
        assert!(header.value.len() <= VALUE_MAX && !header.value.contains("secret"));
    }
}

#[test]
fn a_message_of_many_headers_is_shown_in_part() {
    let mut headers = HeaderMap::new();
    for number in 0..HEADERS_MAX + 50 {
        let name: http::HeaderName = format!("x-{number}").parse().unwrap();
        headers.append(name, HeaderValue::from_static("1"));
    }
    assert_eq!(shown(&headers).len(), HEADERS_MAX);
}

#[test]
fn an_event_survives_the_way_through_json() {
    let tapped = Tapped { share: all(), dropped: 3, event: event(2) };
    let text = serde_json::to_string(&tapped).unwrap();
    assert_eq!(serde_json::from_str::<Tapped>(&text).unwrap(), tapped);
}
