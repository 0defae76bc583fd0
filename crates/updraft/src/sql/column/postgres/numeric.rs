//! `NUMERIC` in its binary format: digits of base 10 000, the weight of the first, a sign, and
//! how many decimals are shown (`numeric_send` of PostgreSQL).

const NEGATIVE: u16 = 0x4000;
const POSITIVE: u16 = 0;

struct Numeric<'b> {
    negative: bool,
    /// The power of 10 000 of the first digit.
    weight: i16,
    scale: u16,
    digits: &'b [u8],
}

fn parse(bytes: &[u8]) -> Option<Numeric<'_>> {
    let (head, digits) = bytes.split_at_checked(8)?;
    let word = |at: usize| Some(u16::from_be_bytes([*head.get(at)?, *head.get(at + 1)?]));
    let (count, weight, sign, scale) = (word(0)?, word(2)?, word(4)?, word(6)?);
    if digits.len() != usize::from(count) * 2 || !matches!(sign, POSITIVE | NEGATIVE) {
        return None;
    }
    Some(Numeric { negative: sign == NEGATIVE, weight: weight.cast_signed(), scale, digits })
}

impl Numeric<'_> {
    /// The digit of this power of 10 000; those that are not sent are zero.
    fn digit(&self, power: i32) -> u16 {
        let at = i32::from(self.weight) - power;
        let Ok(at) = usize::try_from(at) else { return 0 };
        match self.digits.get(at * 2..at * 2 + 2) {
            Some([high, low]) => u16::from_be_bytes([*high, *low]),
            _ => 0,
        }
    }
}

/// The integer that it is, unless it is none or too large.
pub(super) fn whole(bytes: &[u8]) -> Option<i64> {
    let number = parse(bytes)?;
    let last = i32::from(number.weight) - i32::try_from(number.digits.len() / 2).ok()? + 1;
    if (last..0).any(|power| number.digit(power) != 0) {
        return None;
    }
    let mut whole: i64 = 0;
    for power in (0..=i32::from(number.weight)).rev() {
        let digit = i64::from(number.digit(power));
        // Counted downwards for the sake of the least integer.
        whole = whole.checked_mul(10_000)?.checked_sub(digit)?;
    }
    if number.negative { Some(whole) } else { whole.checked_neg() }
}

/// Its decimal text, with as many decimals as PostgreSQL shows.
pub(super) fn decimal(bytes: &[u8]) -> Option<String> {
    let number = parse(bytes)?;
    let mut text = String::from(if number.negative { "-" } else { "" });
    let highest = i32::from(number.weight).max(0);
    for power in (0..=highest).rev() {
        let digit = number.digit(power);
        if power == highest {
            text.push_str(&digit.to_string());
        } else {
            text.push_str(&format!("{digit:04}"));
        }
    }
    let scale = usize::from(number.scale);
    if scale != 0 {
        let mut decimals = String::new();
        let mut power = -1;
        while decimals.len() < scale {
            decimals.push_str(&format!("{:04}", number.digit(power)));
            power -= 1;
        }
        decimals.truncate(scale);
        text.push('.');
        text.push_str(&decimals);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn a_numeric_is_read_as_postgresql_sends_it() {
        let minus_one = u16::MAX;
        for (words, text, integer) in [
            (&[0, 0, 0, 0][..], "0", Some(0)),
            (&[1, 0, 0, 0, 42], "42", Some(42)),
            (&[2, 1, NEGATIVE, 0, 1, 5], "-10005", Some(-10005)),
            (&[1, 1, 0, 0, 7], "70000", Some(70000)),
            (&[2, 0, 0, 2, 3, 1400], "3.14", None),
            (&[1, minus_one, 0, 3, 10], "0.001", None),
            (&[1, 0, 0, 2, 3], "3.00", Some(3)),
            (
                &[5, 4, NEGATIVE, 0, 922, 3372, 368, 5477, 5808],
                "-9223372036854775808",
                Some(i64::MIN),
            ),
            (&[5, 4, 0, 0, 922, 3372, 368, 5477, 5808], "9223372036854775808", None),
        ] {
            let bytes = sent(words);
            assert_eq!(decimal(&bytes).as_deref(), Some(text));
            assert_eq!(whole(&bytes), integer, "{text}");
        }
        assert_eq!(decimal(&sent(&[0, 0, 0xC000, 0])), None, "NaN");
    }
}
