//! Configurations that cannot be are refused, with everything that is wrong.

use super::*;
use crate::breaker::{Breaker, Window};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_default_is_sound() {
    assert_eq!(BreakerConfig::default().validate(), Ok(()));
}

#[test]
fn every_bad_field_is_named_at_once() {
    let config = BreakerConfig::any_of([
        Trip::failure_rate(f64::NAN).over(Window::Count(0)),
        Trip::slow_rate(1.5).slower_than(Duration::ZERO).over(Window::Time(Duration::MAX)),
        Trip::consecutive(0),
    ])
    .open_for(OpenFor { first: SECOND, factor: f64::NAN, max: Duration::ZERO })
    .half_open(HalfOpen::permits(0).max_wait(Duration::ZERO));
    let invalid = Breaker::new(config).unwrap_err();
    let mut fields: Vec<&str> =
        invalid.problems().iter().filter_map(|problem| problem.split(' ').next()).collect();
    fields.sort_unstable();
    let expected = [
        "half_open.calls",
        "half_open.max_wait",
        "half_open.successes_needed",
        "open_for.factor",
        "open_for.max",
        "trips[0].at_least",
        "trips[0].min_calls",
        "trips[0].window",
        "trips[1].at_least",
        "trips[1].slower_than",
        "trips[1].window",
        "trips[2].failures",
    ];
    assert_eq!(fields, expected, "{invalid}");
}

#[test]
fn values_at_the_edges() {
    let count = |calls, min| Trip::failure_rate(0.5).over(Window::Count(calls)).min_calls(min);
    let time = |millis| Trip::failure_rate(1.0).over(Window::Time(Duration::from_millis(millis)));
    let trips = [
        (count(1, 1), true),
        (count(65_536, 65_536), true),
        (count(65_537, 1), false),
        (count(10, 11), false),
        (count(10, 0), false),
        (time(100), true),
        (time(99), false),
        (time(1000).min_calls(30_001), false),
        (Trip::failure_rate(0.0), false),
        (Trip::failure_rate(-0.1), false),
        (Trip::failure_rate(f64::INFINITY), false),
        (Trip::slow_rate(0.1), true),
    ];
    for (trip, sound) in trips {
        assert_eq!(trip.validate().is_ok(), sound, "{trip:?}");
    }
    let half_open = [
        (HalfOpen::permits(500), true),
        (HalfOpen::permits(501), false),
        (HalfOpen::permits(1).failures_allowed(501), false),
        (HalfOpen::ramp([]), false),
        (HalfOpen::ramp([0.5, 0.1]), false),
        (HalfOpen::ramp([0.1, f64::NAN]), false),
        (HalfOpen::ramp([0.1, 1.0]), true),
        (HalfOpen::ramp([0.1]).min_calls(0), false),
        (HalfOpen::ramp([0.1]).reopen_at(0.0), false),
        (HalfOpen::ramp(vec![0.5; 101]), false),
    ];
    for (half_open, sound) in half_open {
        assert_eq!(half_open.validate().is_ok(), sound, "{half_open:?}");
    }
    assert!(BreakerConfig::any_of([]).validate().is_err());
}

#[test]
fn builders_set_their_own_fields_only() {
    let slow = Trip::slow_rate(0.8).slower_than(SECOND * 2).over(Window::Count(7)).min_calls(3);
    let window = Window::Count(7);
    assert_eq!(
        slow,
        Trip::SlowRate { at_least: 0.8, slower_than: SECOND * 2, window, min_calls: 3 }
    );
    let plain = Trip::consecutive(4);
    assert_eq!(plain.over(window).min_calls(9).slower_than(SECOND), plain);
    let ramp = HalfOpen::ramp([0.5]);
    assert_eq!(ramp.clone().max_wait(SECOND).failures_allowed(3).successes_needed(9), ramp);
}

#[test]
fn the_open_time_grows_to_its_limit_and_never_overflows() {
    let open_for = OpenFor::default();
    let seconds: Vec<u64> = (0..6).map(|n| open_for.after(n).as_secs()).collect();
    assert_eq!(seconds, [5, 10, 20, 40, 60, 60]);
    assert_eq!(open_for.after(u32::MAX), open_for.max);
    let long = OpenFor { first: SECOND, factor: f64::MAX, max: Duration::MAX };
    assert_eq!(long.after(u32::MAX), Duration::MAX);
    assert_eq!(OpenFor::fixed(SECOND).after(9), SECOND);
}

#[cfg(feature = "serde")]
#[test]
fn data_that_says_nothing_is_the_default_and_unknown_fields_are_refused() {
    use serde::Deserialize;
    use serde::de::value::{Error, MapDeserializer};

    let nothing = MapDeserializer::<_, Error>::new(std::iter::empty::<(&str, u32)>());
    assert_eq!(BreakerConfig::deserialize(nothing), Ok(BreakerConfig::default()));
    let unknown = MapDeserializer::<_, Error>::new(std::iter::once(("tripps", 1_u32)));
    assert!(BreakerConfig::deserialize(unknown).is_err());
    let spans = MapDeserializer::<_, Error>::new([("first", "2s"), ("max", "1m")].into_iter());
    let expected = OpenFor { first: SECOND * 2, ..OpenFor::default() };
    assert_eq!(OpenFor::deserialize(spans), Ok(expected));
}
