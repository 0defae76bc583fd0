//! The little of DER (ITU-T X.690) that reading a certificate takes: one element after
//! another, lengths in their shortest form, nothing left over. What is not in that form is
//! refused, never repaired: two readers must not see two certificates in the same bytes.

use rustls::pki_types::UnixTime;
use std::time::Duration;

/// Tags of the elements of a certificate.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    /// `[0]`, constructed: the version.
    pub(crate) const VERSION: u8 = 0xa0;
    /// `[3]`, constructed: the extensions.
    pub(crate) const EXTENSIONS: u8 = 0xa3;
    /// `[6]`, primitive: a URI among the names of a certificate.
    pub(crate) const URI: u8 = 0x86;
}

/// The bytes are not DER, or not the element that belongs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the certificate is not well-formed DER")]
pub(crate) struct Malformed;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    pub(crate) const fn new(bytes: &'d [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element, whatever its tag: tag and content.
    ///
    /// # Errors
    ///
    /// When no whole element is there, its tag has several bytes, or its length is not in
    /// the shortest definite form.
    pub(crate) fn any(&mut self) -> Result<(u8, &'d [u8]), Malformed> {
        let (&tag, rest) = self.0.split_first().ok_or(Malformed)?;
        let (&first, rest) = rest.split_first().ok_or(Malformed)?;
        // Tags of several bytes do not occur in certificates.
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // No certificate is longer than 64 KiB: of the long forms two are enough.
            0x81 | 0x82 => {
                let (bytes, rest) =
                    rest.split_at_checked(usize::from(first & 0x7f)).ok_or(Malformed)?;
                let length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                let shortest = if first == 0x81 { 0x80 } else { 0x100 };
                if length < shortest {
                    return Err(Malformed);
                }
                (length, rest)
            }
            _ => return Err(Malformed),
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok((tag, content))
    }

    /// The content of the next element.
    ///
    /// # Errors
    ///
    /// As [`any`](Self::any), and when it has another tag.
    pub(crate) fn take(&mut self, tag: u8) -> Result<&'d [u8], Malformed> {
        match self.any()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(Malformed),
        }
    }

    /// The next element, as something to read in.
    pub(crate) fn nested(&mut self, tag: u8) -> Result<Self, Malformed> {
        self.take(tag).map(Self)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// A moment, as RFC 5280, section 4.1.2.5, has it: in Zulu time, with seconds, without
    /// fractions; before 1970 there is none.
    pub(crate) fn time(&mut self) -> Result<UnixTime, Malformed> {
        let (tag, text) = self.any()?;
        let (year, rest) = match tag {
            tag::UTC_TIME => {
                let (year, rest) = digits(text, 2)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            tag::GENERALIZED_TIME => digits(text, 4)?,
            _ => return Err(Malformed),
        };
        let (month, rest) = digits(rest, 2)?;
        let (day, rest) = digits(rest, 2)?;
        let (hour, rest) = digits(rest, 2)?;
        let (minute, rest) = digits(rest, 2)?;
        let (second, rest) = digits(rest, 2)?;
        let in_day = hour < 24 && minute < 60 && second < 60;
        if rest != b"Z" || !in_day || !(1..=days_of(year, month)?).contains(&day) {
            return Err(Malformed);
        }
        let days = days_since_1970(year, month, day).ok_or(Malformed)?;
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
        Ok(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn digits(text: &[u8], count: usize) -> Result<(u64, &[u8]), Malformed> {
    let (digits, rest) = text.split_at_checked(count).ok_or(Malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    Ok((digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')), rest))
}

fn days_of(year: u64, month: u64) -> Result<u64, Malformed> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Ok(31),
        4 | 6 | 9 | 11 => Ok(30),
        2 => Ok(if leap { 29 } else { 28 }),
        _ => Err(Malformed),
    }
}

/// `days_from_civil` of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years
/// begin in March, so that the day that is only sometimes there is the last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    days.checked_sub(719_468)
}

#[cfg(test)]
#[path = "der_tests.rs"]
mod tests;
