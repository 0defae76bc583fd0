//! Rates, times and sizes in few characters.

use std::time::Duration;

/// So many in a second.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        ..0.05 => "0".to_owned(),
        ..99.95 => format!("{per_second:.1}"),
        ..9999.5 => format!("{per_second:.0}"),
        _ => format!("{:.1}k", per_second / 1000.0),
    }
}

/// A share, 0 to 1, in percent.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        // What is there is never rounded away.
        ..=0.0 => "0".to_owned(),
        ..0.1 => "<0.1".to_owned(),
        ..99.95 => format!("{percent:.1}"),
        _ => "100".to_owned(),
    }
}

/// How long something took, in the unit that fits.
pub(crate) fn latency(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..999.5 => format!("{micros:.0}us"),
        ..9_995.0 => format!("{:.2}ms", micros / 1e3),
        ..99_950.0 => format!("{:.1}ms", micros / 1e3),
        ..999_500.0 => format!("{:.0}ms", micros / 1e3),
        ..99_950_000.0 => format!("{:.1}s", micros / 1e6),
        _ => format!("{:.0}s", micros / 1e6),
    }
}

/// Bytes, in powers of 1024.
pub(crate) fn bytes(count: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut rest = count;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if rest < 999.5 {
            break;
        }
        rest /= 1024.0;
        unit = next;
    }
    match rest {
        _ if unit == "B" => format!("{rest:.0}B"),
        ..9.95 => format!("{rest:.1}{unit}"),
        _ => format!("{rest:.0}{unit}"),
    }
}

/// A time span in its two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{}m", minutes % 60),
        (days, hours, _) => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_shares_never_hide_what_is_there() {
        let rates =
            [(0.0, "0"), (0.5, "0.5"), (12.34, "12.3"), (99.97, "100"), (12_345.0, "12.3k")];
        for (given, expected) in rates {
            assert_eq!(rate(given), expected);
        }
        let shares = [(0.0, "0"), (0.0004, "<0.1"), (0.051, "5.1"), (0.9999, "100"), (1.0, "100")];
        for (given, expected) in shares {
            assert_eq!(percent(given), expected);
        }
    }

    #[test]
    fn latencies_have_three_digits() {
        let cases = [
            (0, "0us"),
            (740, "740us"),
            (1_234, "1.23ms"),
            (12_345, "12.3ms"),
            (345_678, "346ms"),
            (2_345_678, "2.3s"),
            (200_000_000, "200s"),
        ];
        for (micros, expected) in cases {
            assert_eq!(latency(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn sizes_have_the_largest_unit_that_fits() {
        let cases =
            [(0.0, "0B"), (999.0, "999B"), (1000.0, "1.0KiB"), (2e4, "20KiB"), (5e9, "4.7GiB")];
        for (count, expected) in cases {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn spans_have_two_units() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3599, "59m59s"),
            (3661, "1h1m"),
            (90_000, "1d1h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(span(seconds), expected);
        }
    }
}
