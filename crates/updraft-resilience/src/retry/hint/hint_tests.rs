//! The hints of servers: tables of the forms, and the law that every text has an answer.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;

/// The example of RFC 9110 §5.6.7.
const EXAMPLE: u64 = 784_111_777;

fn seconds(value: &str, now: u64) -> Option<u64> {
    parse_retry_after(value, Some(now)).map(|wait| wait.as_secs())
}

#[test]
fn every_form_of_retry_after_is_read() {
    let table = [
        ("0", 0, Some(0)),
        ("120", 0, Some(120)),
        (" 120\t", 0, Some(120)),
        ("00007", 0, Some(7)),
        ("99999999999999999999999999", 0, Some(u64::MAX)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE - 60, Some(60)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE - 60, Some(60)),
        ("Sun Nov  6 08:49:37 1994", EXAMPLE - 60, Some(60)),
        ("Sun Nov 13 08:49:37 1994", EXAMPLE, Some(7 * 86_400)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE + 1, Some(0)),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0, Some(1)),
        ("Wed, 31 Dec 1969 23:59:59 GMT", 0, Some(0)),
        ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800 - 5, Some(5)),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800, Some(0)),
    ];
    for (value, now, expected) in table {
        assert_eq!(seconds(value, now), expected, "{value}");
    }
}

#[test]
fn what_is_in_no_form_gives_nothing() {
    let table = [
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1s",
        "soon",
        "１",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT and more",
        "Son, 06 Nov 1994 08:49:37 GMT",
    ];
    for value in table {
        assert_eq!(seconds(value, EXAMPLE), None, "{value}");
    }
}

#[test]
fn without_the_present_date_only_numbers_are_read() {
    assert_eq!(parse_retry_after("5", None), Some(Duration::from_secs(5)));
    assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", None), None);
}

/// RFC 9110 §5.6.7: what seems more than fifty years ahead is the past.
#[test]
fn years_of_two_digits_are_at_most_fifty_years_ahead() {
    let year_2026 = 1_770_000_000;
    let fifty_years = 50 * 31_556_952;
    let wait = |value| seconds(value, year_2026).unwrap();
    assert!(wait("Tuesday, 01-Dec-26 00:00:00 GMT") > 0);
    assert!(wait("Wednesday, 01-Jan-75 00:00:00 GMT") > fifty_years - 3 * 31_556_952);
    assert_eq!(wait("Friday, 01-Jan-99 00:00:00 GMT"), 0);
    assert_eq!(wait("Saturday, 01-Jan-77 00:00:00 GMT"), 0);
}

#[test]
fn pushback_is_a_wait_or_never() {
    let after = |millis| Pushback::After(Duration::from_millis(millis));
    let table = [
        ("0", after(0)),
        ("250", after(250)),
        ("2147483647", after(2_147_483_647)),
        ("-1", Pushback::Never),
        ("-9999999999999999999999", Pushback::Never),
        ("9999999999999999999999", Pushback::Never),
        ("", Pushback::Never),
        ("1s", Pushback::Never),
        ("1.5", Pushback::Never),
    ];
    for (value, expected) in table {
        assert_eq!(parse_grpc_pushback(value), expected, "{value}");
    }
    assert_eq!(after(5).verdict(), Verdict::Throttled(Some(Duration::from_millis(5))));
    assert!(!Pushback::Never.verdict().is_retryable());
}

/// Text that is nearly right finds more than text that is not.
fn nearly_a_date() -> impl Strategy<Value = String> {
    "(Sun|Sunday|Mon|X), ?[0-9é]{0,3}[ -](Nov|Feb|Foo)[ -][0-9]{0,5} [0-9:]{0,9} ?(GMT)?"
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>(), now in any::<Option<u64>>()) {
        let _ = parse_retry_after(&text, now);
        let _ = parse_grpc_pushback(&text);
    }

    #[test]
    fn no_nearly_right_date_makes_the_parser_panic(text in nearly_a_date(), now in any::<u64>()) {
        let _ = parse_retry_after(&text, Some(now));
    }

    #[test]
    fn two_digit_years_are_safe_at_any_date(
        year in 0_u32..100, month in 0_usize..12, now in any::<u64>(),
    ) {
        let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
            "Dec"][month];
        let text = format!("Sunday, 28-{month}-{year:02} 23:59:59 GMT");
        prop_assert!(parse_retry_after(&text, Some(now)).is_some());
    }

    /// The crate httpdate writes, and must be read back as the same second.
    #[test]
    fn dates_are_those_of_httpdate(unix in 0_u64..253_402_300_799, back in 0_u64..1_000_000) {
        let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix));
        prop_assert_eq!(seconds(&text, unix.saturating_sub(back)), Some(back.min(unix)));
    }

    #[test]
    fn numbers_are_read_back(number in any::<u64>(), millis in 0..i64::MAX) {
        prop_assert_eq!(seconds(&number.to_string(), 0), Some(number));
        let expected = Pushback::After(Duration::from_millis(millis.unsigned_abs()));
        prop_assert_eq!(parse_grpc_pushback(&millis.to_string()), expected);
    }
}
