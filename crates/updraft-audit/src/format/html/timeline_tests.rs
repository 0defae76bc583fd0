//! The geometry of timelines: nothing covers anything.

use proptest::prelude::*;

use super::*;

fn moment(at_ms: f64, lane: Lane, what: &str) -> Moment {
    Moment { at_ms, lane, what: what.to_owned() }
}

fn any_moment() -> impl Strategy<Value = Moment> {
    let lanes = [Lane::Audit, Lane::Client, Lane::Program, Lane::Output, Lane::Resource];
    (0.0..5000.0_f64, 0..5_usize, "\\PC{0,90}")
        .prop_map(move |(at, lane, what)| moment(at, lanes[lane], &what))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn labels_cover_neither_each_other_nor_the_names_and_stay_inside(
        moments in proptest::collection::vec(any_moment(), 1..60),
    ) {
        let span = moments.iter().map(|one| one.at_ms).fold(1.0, f64::max);
        let placed = place(moments.iter(), span);
        prop_assert_eq!(placed.len(), moments.len());
        for (at, one) in placed.iter().enumerate() {
            let (left, right) = one.extent();
            prop_assert!(left >= LEFT - DOT - 0.01 && right <= WIDTH, "{:?}", one);
            for other in placed.iter().skip(at + 1).filter(|other| other.row == one.row) {
                let (from, to) = other.extent();
                prop_assert!(to <= left || right <= from, "{:?} and {:?}", one, other);
            }
        }
    }

    #[test]
    fn what_happened_later_stands_further_right(a in 0.0..1e6_f64, b in 0.0..1e6_f64) {
        let span = a.max(b).max(1.0);
        prop_assert_eq!(a < b, at(a, span) < at(b, span));
    }

    #[test]
    fn an_axis_has_few_marks_and_enough(span in 0.01..1e7_f64) {
        let marks = axis(span, 10.0).matches("<text").count();
        prop_assert!((4..=10).contains(&marks), "{} marks for {} ms", marks, span);
    }
}

#[test]
fn every_moment_is_drawn_once_with_its_time() {
    let moments = [
        moment(0.0, Lane::Program, "starts"),
        moment(12.5, Lane::Audit, "SIGTERM <to> it"),
        moment(12.5, Lane::Client, "reset"),
    ];
    let svg = svg(&moments);
    assert_eq!(svg.matches("<circle").count(), 3);
    assert!(svg.contains("<title>12.5 ms, audit: SIGTERM &lt;to&gt; it</title>"), "{svg}");
    assert_eq!(svg.matches("class=\"act\"").count(), 1);
    assert_eq!(svg.matches("class=\"who\"").count(), 3);
    assert!(svg.contains("12 ms</text>"), "the last mark has the unit: {svg}");
}

#[test]
fn nothing_is_drawn_of_nothing_and_what_has_no_time_is_left_out() {
    assert_eq!(svg(&[]), "");
    assert_eq!(svg(&[moment(f64::NAN, Lane::Audit, "x")]), "");
    let one = svg(&[moment(f64::INFINITY, Lane::Audit, "x"), moment(0.0, Lane::Audit, "y")]);
    assert_eq!(one.matches("<circle").count(), 1);
}

#[test]
fn of_thousands_the_beginning_and_the_end_are_drawn() {
    let moments: Vec<_> = (0..1000_u32)
        .map(|at| moment(f64::from(at), Lane::Output, &format!("line {at}")))
        .collect();
    let svg = svg(&moments);
    assert_eq!(svg.matches("<circle").count(), 80);
    assert!(svg.contains("line 0<") && svg.contains("line 39<") && svg.contains("line 999<"));
    assert!(!svg.contains("line 40<") && svg.contains("line 960<") && !svg.contains("line 959<"));
    assert!(svg.contains("920 moments in the middle are not drawn"));
}

#[test]
fn marks_stand_at_round_numbers() {
    for (span, expected) in [(1.0, 0.2), (541.0, 100.0), (5000.0, 1000.0), (7.0, 1.0)] {
        assert!((step(span) - expected).abs() < 1e-9, "{span}: {}", step(span));
    }
}
