//! What each type takes, refuses and shows.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroI32, NonZeroU32};
use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use url::Url;

use super::*;

#[track_caller]
fn takes<T: Variable + PartialEq + Debug>(text: &str, value: T) {
    assert_eq!(T::parse(text), Ok(value), "{text:?}");
}

#[track_caller]
fn refuses<T: Variable + Debug>(texts: &[&str], wrong: &str) {
    for text in texts {
        assert_eq!(T::parse(text).unwrap_err(), wrong, "{text:?}");
    }
}

/// What is shown of a value can be read again, and is the same value.
fn is_shown_whole<T: Variable + PartialEq + Debug>(value: T) {
    assert_eq!(T::parse(&value.show()), Ok(value));
}

#[test]
fn time_spans_need_their_unit_and_are_never_negative() {
    takes("250ms", Duration::from_millis(250));
    takes("1h30m", Duration::from_secs(5400));
    takes("0s", Duration::ZERO);
    refuses::<Duration>(&["5", "-5s", "soon", "5 parsecs", ""], "is not a time span");
    assert_eq!(Duration::from_micros(1500).show(), "1500us");
}

#[test]
fn numbers_out_of_range_are_told_from_no_numbers() {
    takes("65535", u16::MAX);
    takes("-128", i8::MIN);
    takes("-1", NonZeroI32::new(-1).unwrap());
    refuses::<u16>(&["65536", "99999999999999999999"], "is out of range");
    refuses::<i8>(&["-129", "128"], "is out of range");
    refuses::<NonZeroU32>(&["0", "4294967296"], "is out of range");
    refuses::<u16>(&["web", "1.5", "1_000", "0x10", " 1"], "is not a whole number");
    takes("0.5", 0.5_f64);
    takes("-1e3", -1000_f32);
    refuses::<f64>(&["inf", "NaN", "-infinity", "1e999"], "is not a finite number");
    refuses::<f64>(&["0,5", "", "half"], "is not a number");
}

#[test]
fn sizes_have_units_of_1024_and_of_1000() {
    for (text, bytes) in [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("64KiB", 65_536),
        ("64 KiB", 65_536),
        ("1MiB", 1 << 20),
        ("2GiB", 2 << 30),
        ("1TiB", 1 << 40),
        ("10kB", 10_000),
        ("10KB", 10_000),
        ("10MB", 10_000_000),
        ("1GB", 1_000_000_000),
    ] {
        takes(text, ByteSize::new(bytes));
    }
    refuses::<ByteSize>(&["18446744073709551616", "18014398509481984KiB"], "is out of range");
    for wrong in ["", "KiB", "1.5MiB", "-1B", "10mb", "10 Mi B", "0x1"] {
        assert!(ByteSize::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(ByteSize::new(65_536).show(), "64KiB");
    assert_eq!(ByteSize::new(0).show(), "0B");
    assert_eq!(ByteSize::new(10_000_000).show(), "10MB");
}

#[test]
fn lists_have_commas_and_name_the_entry_that_is_wrong() {
    takes("1, 2,3", vec![1_u16, 2, 3]);
    takes("1,", vec![1_u16]);
    takes("a", vec!["a".to_owned()]);
    refuses::<Vec<u16>>(&["", " ", ","], "has no entry");
    refuses::<Vec<u16>>(&["1,,3"], "has nothing for entry 2");
    refuses::<Vec<u16>>(&["1,2,x"], "has an entry 3 that is not a whole number");
    assert_eq!(Vec::<u16>::parse(&"1,".repeat(1024)).map(|list| list.len()), Ok(1024));
    refuses::<Vec<u16>>(&["1,".repeat(1025).as_str()], "has more than 1024 entries");
    assert!(
        Vec::<u16>::expected()
            .ends_with("each of them a whole number from 0 to 65535, such as 8080")
    );
    assert_eq!(vec![crate::Secret::new("canary")].show(), "[secret]");
}

#[test]
fn addresses_zones_and_times_are_read_as_their_standards_say() {
    takes("::1", "::1".parse::<IpAddr>().unwrap());
    refuses::<IpAddr>(&["localhost", "256.0.0.1", ""], "is not an IP address");
    takes("[::1]:80", "[::1]:80".parse::<SocketAddr>().unwrap());
    refuses::<SocketAddr>(&["127.0.0.1", "::1:80:"], "is not an IP address with its port");
    takes("UTC", TimeZone::get("UTC").unwrap());
    refuses::<TimeZone>(&["Moon/Base", "", "+02:00"], "is not a time zone that is known here");
    takes("2026-01-31T06:00:00Z", jiff::Timestamp::constant(1_769_839_200, 0));
    refuses::<jiff::Timestamp>(&["2026-01-31", "now"], "is not a point in time");
    takes("2026-01-31", jiff::civil::date(2026, 1, 31));
    refuses::<jiff::civil::Date>(&["2026-02-30", "31.1.2026"], "is not a date");
    takes("06:30:00", jiff::civil::time(6, 30, 0, 0));
    takes("é", 'é');
    refuses::<char>(&["", "ab"], "is not one character");
    takes("/a b", PathBuf::from("/a b"));
    takes(uuid::Uuid::EXAMPLE, uuid::Uuid::parse_str(uuid::Uuid::EXAMPLE).unwrap());
    refuses::<bool>(&["yes", "1", "TRUE"], "is neither `true` nor `false`");
}

#[test]
fn of_a_url_only_scheme_host_port_and_path_are_shown() {
    for (text, shown) in [
        ("https://u:canary@host:8443/a/b?k=canary#canary", "https://host:8443/a/b"),
        ("postgres://canary@host/db", "postgres://host/db"),
        ("sqlite:///data/x.db?k=canary", "sqlite:/data/x.db"),
        ("mailto:canary@host", "mailto:…"),
        ("data:text/plain,canary", "data:…"),
    ] {
        assert_eq!(<Url as Variable>::parse(text).unwrap().show(), shown);
        let plain = text.to_owned().show();
        assert!(!plain.contains("canary") || !text.contains("://"), "{plain}");
    }
    let broken = "https://u:canary@[broken";
    refuses::<Url>(&[broken], "is not a URL");
    assert!(!broken.to_owned().show().contains("canary"));
}

/// Each type's own example is one.
#[test]
fn examples_can_be_read() {
    fn sound<T: Variable>() {
        assert!(!T::EXAMPLE.is_empty() && T::parse(T::EXAMPLE).is_ok(), "{}", T::EXPECTED);
    }
    sound::<bool>();
    sound::<u8>();
    sound::<u16>();
    sound::<i64>();
    sound::<NonZeroU32>();
    sound::<NonZeroI32>();
    sound::<f32>();
    sound::<ByteSize>();
    sound::<Duration>();
    sound::<IpAddr>();
    sound::<SocketAddr>();
    sound::<Url>();
    sound::<jiff::Timestamp>();
    sound::<jiff::civil::Date>();
    sound::<jiff::civil::Time>();
    sound::<TimeZone>();
    sound::<uuid::Uuid>();
    sound::<Vec<u16>>();
    sound::<crate::ServiceUrl>();
}

proptest! {
    #[test]
    fn what_is_shown_is_the_value(number in any::<i64>(), nanos in any::<u64>(), size in any::<u64>(), fraction in any::<f64>()) {
        is_shown_whole(number);
        is_shown_whole(Duration::from_nanos(nanos / 2));
        is_shown_whole(ByteSize::new(size));
        if fraction.is_finite() {
            is_shown_whole(fraction);
        }
        is_shown_whole(vec![number; 3]);
    }

    #[test]
    fn any_text_is_read_to_an_end_and_never_repeated(text in "\\PC{0,40}") {
        fn law<T: Variable>(text: &str) {
            if let Err(wrong) = T::parse(text) {
                // Short texts are in any sentence by chance.
                assert!(text.len() < 6 || !wrong.contains(text), "{wrong}");
            }
        }
        law::<bool>(&text);
        law::<u16>(&text);
        law::<i128>(&text);
        law::<f64>(&text);
        law::<ByteSize>(&text);
        law::<Duration>(&text);
        law::<IpAddr>(&text);
        law::<Url>(&text);
        law::<jiff::Timestamp>(&text);
        law::<TimeZone>(&text);
        law::<Vec<NonZeroU32>>(&text);
    }
}
