//! Deadlines on the wire: what is written is read back as no more, and any text is borne.

use proptest::prelude::*;

use super::*;

const MOST_NANOS: u64 = 99_999_999;

#[test]
fn grpc_timeouts_use_the_finest_unit_of_eight_digits() {
    let table = [
        (Duration::ZERO, "0n"),
        (Duration::from_nanos(1), "1n"),
        (Duration::from_nanos(MOST_NANOS), "99999999n"),
        (Duration::from_nanos(MOST_NANOS + 1), "100000u"),
        (Duration::from_millis(1500), "1500000u"),
        (Duration::from_secs(100), "100000m"),
        (Duration::from_secs(100_000), "100000S"),
        (Duration::from_secs(100_000_000), "1666666M"),
        (Duration::from_secs(99_999_999 * 60), "99999999M"),
        (Duration::from_secs(100_000_000 * 60), "1666666H"),
        (Duration::MAX, "99999999H"),
    ];
    for (remaining, expected) in table {
        assert_eq!(format_grpc_timeout(remaining), expected, "{remaining:?}");
    }
}

#[test]
fn grpc_timeouts_are_read_in_every_unit() {
    let table = [
        ("0n", Some(Duration::ZERO)),
        ("1H", Some(Duration::from_secs(3600))),
        ("2M", Some(Duration::from_secs(120))),
        ("3S", Some(Duration::from_secs(3))),
        ("4m", Some(Duration::from_millis(4))),
        ("5u", Some(Duration::from_micros(5))),
        ("6n", Some(Duration::from_nanos(6))),
        ("00000006n", Some(Duration::from_nanos(6))),
        ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
        ("100000000n", None),
        ("000000006n", None),
        ("", None),
        ("S", None),
        ("5", None),
        ("5s", None),
        ("5h", None),
        ("-5S", None),
        ("+5S", None),
        (" 5S", None),
        ("5S ", None),
        ("5 S", None),
        ("1.5S", None),
        ("5é", None),
        ("٥S", None),
    ];
    for (value, expected) in table {
        assert_eq!(parse_grpc_timeout(value), expected, "{value:?}");
    }
}

#[test]
fn milliseconds_are_whole_and_never_zero() {
    assert_eq!(format_timeout_ms(Duration::from_micros(1999)), "1");
    assert_eq!(format_timeout_ms(Duration::from_millis(1500)), "1500");
    assert_eq!(format_timeout_ms(Duration::ZERO), "1", "zero would be no limit");
    assert_eq!(
        parse_timeout_ms(&format_timeout_ms(Duration::MAX)),
        Some(Duration::from_millis(u64::MAX))
    );
    for nothing in ["", "0", "-1", "+1", "1.0", " 1", "1ms", "99999999999999999999999"] {
        assert_eq!(parse_timeout_ms(nothing), None, "{nothing:?}");
    }
}

#[test]
fn what_is_received_never_exceeds_the_ambient_deadline() {
    let now = Instant::from_nanos(1_000);
    let _entered = super::super::enter(Deadline::after(now, Duration::from_secs(1)));
    let received = |seconds| received(Duration::from_secs(seconds), now).remaining(now);
    assert_eq!(received(60), Duration::from_secs(1));
    assert_eq!(received(u64::MAX), Duration::from_secs(1));
    assert_eq!(received(0), Duration::ZERO);
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>(), nearly in "[0-9]{0,12}[HMSmuné]?") {
        for text in [text, nearly] {
            let _ = parse_grpc_timeout(&text);
            let _ = parse_timeout_ms(&text);
        }
    }

    /// Rounded down, by less than one part in a hundred thousand: where eight digits are not
    /// enough, the next unit still has six.
    #[test]
    fn a_grpc_timeout_is_read_back_as_hardly_less(shift in 0_u32..63, bits in any::<u64>()) {
        let remaining = Duration::from_nanos(bits >> shift);
        let text = format_grpc_timeout(remaining);
        prop_assert!(text.len() <= 9);
        let read = parse_grpc_timeout(&text).unwrap();
        prop_assert!(read <= remaining);
        prop_assert!(remaining - read <= remaining / 100_000);
    }

    #[test]
    fn milliseconds_are_read_back_as_hardly_less(nanos in 1_000_000_u64..) {
        let remaining = Duration::from_nanos(nanos);
        let read = parse_timeout_ms(&format_timeout_ms(remaining)).unwrap();
        prop_assert!(read <= remaining && remaining - read < Duration::from_millis(1));
    }
}
