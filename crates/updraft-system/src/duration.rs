//! Time spans as people write them: `250ms`, `45s`, `20m`, `1h30m`.

use std::time::Duration;

/// The text is not a time span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a time span: write a number with `ms`, `s`, `m` or `h`, such as 250ms, 45s or 1h30m"
)]
pub struct InvalidDuration(pub String);

/// Reads a time span.
///
/// # Errors
///
/// [`InvalidDuration`] for anything but whole numbers, each with its unit.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.to_owned());
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let number: u64 = rest[..digits].parse().ok().ok_or_else(invalid)?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |length| digits + length);
        let millis = match &rest[digits..unit_end] {
            "ms" => Some(number),
            "s" => number.checked_mul(1_000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            _ => None,
        };
        total = millis
            .and_then(|millis| total.checked_add(Duration::from_millis(millis)))
            .ok_or_else(invalid)?;
        rest = &rest[unit_end..];
    }
    if text.is_empty() { Err(invalid()) } else { Ok(total) }
}

/// Writes a time span so that [`parse`] reads it back, to the millisecond.
pub fn format(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        0 => "0s".to_owned(),
        millis if millis % 3_600_000 == 0 => format!("{}h", millis / 3_600_000),
        millis if millis % 60_000 == 0 => format!("{}m", millis / 60_000),
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}
