//! The times of expressions: zones, clocks that are turned, and what was missed.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn times(expression: &str, zone: &str) -> Times {
    Times::new(expression, Fields::FiveOrSix, Zone::find(zone).unwrap()).unwrap()
}

fn first(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let times = times(expression, zone);
    let mut after = at(after);
    let mut found = Vec::new();
    for _ in 0..count {
        after = times.next(after).unwrap();
        found.push(after.to_string());
    }
    found
}

#[test]
fn a_time_is_of_the_clocks_of_its_zone() {
    for (expression, zone, after, expected) in [
        ("0 6 * * *", "Europe/Riga", "2026-01-10T00:00:00Z", "2026-01-10T04:00:00Z"),
        ("0 6 * * *", "Europe/Riga", "2026-07-10T00:00:00Z", "2026-07-10T03:00:00Z"),
        ("0 6 * * *", "UTC", "2026-07-10T00:00:00Z", "2026-07-10T06:00:00Z"),
        ("30 0 * * MON", "America/New_York", "2026-11-26T00:00:00Z", "2026-11-30T05:30:00Z"),
        ("*/10 * * * * *", "UTC", "2026-07-10T00:00:01Z", "2026-07-10T00:00:10Z"),
        ("@daily", "UTC", "2026-07-10T00:00:00Z", "2026-07-11T00:00:00Z"),
    ] {
        assert_eq!(first(expression, zone, after, 1), [expected], "{expression} {zone}");
    }
}

/// In Riga clocks go from 3:00 to 4:00 on 2026-03-29, at 1:00 UTC.
#[test]
fn a_time_that_is_skipped_fires_once_after_the_gap() {
    let fires = first("30 3 * * *", "Europe/Riga", "2026-03-28T12:00:00Z", 2);
    assert_eq!(fires, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    // What is due every half an hour has no gap in the time that really passes.
    let fires = first("*/30 * * * *", "Europe/Riga", "2026-03-29T00:15:00Z", 4);
    assert_eq!(
        fires,
        [
            "2026-03-29T00:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:30:00Z",
            "2026-03-29T02:00:00Z"
        ]
    );
}

/// In Riga clocks go from 4:00 to 3:00 on 2026-10-25, at 1:00 UTC.
#[test]
fn a_time_that_comes_twice_fires_once_and_what_is_due_every_half_hour_goes_on() {
    let fires = first("30 3 * * *", "Europe/Riga", "2026-10-24T12:00:00Z", 2);
    assert_eq!(fires, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    let fires = first("*/30 * * * *", "Europe/Riga", "2026-10-24T23:45:00Z", 5);
    assert_eq!(
        fires,
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z"
        ]
    );
}

#[test]
fn what_was_missed_is_fired_as_the_policy_says() {
    let hourly = times("0 * * * *", "UTC");
    let last = at("2026-05-01T10:00:00Z");
    let late = at("2026-05-01T14:30:00Z");
    let hour = |hour: u32| at(&format!("2026-05-01T{hour}:00:00Z"));
    for (missed, fires, left_out) in [
        (Missed::Skip, vec![], 4),
        (Missed::RunOnce, vec![hour(14)], 3),
        (Missed::RunAll { most: 3 }, vec![hour(12), hour(13), hour(14)], 1),
        (Missed::RunAll { most: 100 }, vec![hour(11), hour(12), hour(13), hour(14)], 0),
    ] {
        assert_eq!(hourly.due(last, late, missed), Due { fires, left_out }, "{missed:?}");
    }
}

#[test]
fn what_is_on_time_fires_whatever_the_policy() {
    let hourly = times("0 * * * *", "UTC");
    for missed in [Missed::Skip, Missed::RunOnce, Missed::RunAll { most: 1 }] {
        let due = hourly.due(at("2026-05-01T10:00:00Z"), at("2026-05-01T11:00:02Z"), missed);
        assert_eq!(due.fires, [at("2026-05-01T11:00:00Z")], "{missed:?}");
        let due = hourly.due(at("2026-05-01T11:00:00Z"), at("2026-05-01T11:00:02Z"), missed);
        assert_eq!(due, Due::default(), "{missed:?}");
    }
}

#[test]
fn a_day_that_never_comes_is_no_circle() {
    assert_eq!(times("0 0 30 2 *", "UTC").next(at("2026-01-01T00:00:00Z")), None);
}

#[test]
fn the_ends_of_months_are_those_of_the_calendar() {
    let fires = first("0 0 31 * *", "UTC", "2026-01-31T12:00:00Z", 3);
    assert_eq!(fires, ["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z", "2026-07-31T00:00:00Z"]);
    let fires = first("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2);
    assert_eq!(fires, ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    let fires = first("30 12 L * *", "UTC", "2026-01-31T13:00:00Z", 3);
    assert_eq!(fires, ["2026-02-28T12:30:00Z", "2026-03-31T12:30:00Z", "2026-04-30T12:30:00Z"]);
}

#[test]
fn seconds_are_a_field_only_where_they_may_be() {
    for (expression, five, six) in
        [("* * * * *", true, true), ("* * * * * *", false, true), ("* * * *", false, false)]
    {
        assert_eq!(Times::check(expression, Fields::Five).is_ok(), five, "{expression}");
        assert_eq!(Times::check(expression, Fields::FiveOrSix).is_ok(), six, "{expression}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the time is cut into looks, each time fires once and none is lost.
    #[test]
    fn the_times_do_not_depend_on_how_often_one_looks(
        minutes in 1u32..60,
        start in 1_760_000_000i64..1_800_000_000,
        cuts in prop::collection::vec(1i64..20_000, 1..12),
    ) {
        let times = times(&format!("*/{minutes} * * * *"), "America/New_York");
        let all = Missed::RunAll { most: u32::MAX };
        let mut last = Timestamp::from_second(start).unwrap();
        let (begin, mut seen) = (last, Vec::new());
        for cut in cuts {
            let now = last + jiff::SignedDuration::from_secs(cut);
            seen.extend(times.due(last, now, all).fires);
            last = now;
        }
        prop_assert_eq!(&seen, &times.due(begin, last, all).fires);
        prop_assert!(seen.is_sorted() && seen.iter().all(|at| begin < *at && *at <= last));
    }
}

#[test]
fn the_last_time_is_found_after_any_number_of_missed_ones() {
    let (last, now) = (at("2026-05-01T00:00:00Z"), at("2026-05-11T00:00:02Z"));
    for missed in [Missed::Skip, Missed::RunOnce, Missed::RunAll { most: 1 }] {
        let due = times("* * * * *", "UTC").due(last, now, missed);
        assert_eq!(due.fires, [at("2026-05-11T00:00:00Z")], "{missed:?}");
    }
}

#[test]
fn the_last_time_is_found_where_the_newer_half_has_none() {
    let (last, now) = (at("2025-12-31T00:00:00Z"), at("2026-12-01T00:00:00Z"));
    let due = times("* * * 1 *", "UTC").due(last, now, Missed::RunOnce);
    assert_eq!(due.fires, [at("2026-01-31T23:59:00Z")]);
}
