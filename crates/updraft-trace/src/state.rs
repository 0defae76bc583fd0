//! `tracestate` (W3C Trace Context level 2, §3.3): nobody here adds anything to it, so all there is
//! to know is whether it may be passed on.

use http::HeaderValue;

/// The most members a list may have (§3.3.1.1).
const MEMBERS_MAX: usize = 32;
/// The longest key, and the longest value, in bytes (§3.3.1.3).
const PART_MAX: usize = 256;

/// Whether these fields, in their order, are one valid list. No field is valid too.
pub(crate) fn is_valid<'h>(fields: impl Iterator<Item = &'h HeaderValue>) -> bool {
    let members = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
    let mut count = 0;
    for member in members.map(trimmed).filter(|member| !member.is_empty()) {
        count += 1;
        if count > MEMBERS_MAX || !is_member(member) {
            return false;
        }
    }
    true
}

fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = (&member[..equals], &member[equals + 1..]);
    is_key(key) && is_value(value)
}

fn is_key(key: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= PART_MAX
        && key.first().is_some_and(letter)
        && key.iter().all(|byte| letter(byte) || b"_-*/@".contains(byte))
}

/// Printable, without `=`; its end is no space, because that was trimmed.
fn is_value(value: &[u8]) -> bool {
    !value.is_empty()
        && value.len() <= PART_MAX
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(fields: &[&str]) -> bool {
        let fields: Vec<HeaderValue> =
            fields.iter().map(|field| HeaderValue::from_str(field).unwrap()).collect();
        is_valid(fields.iter())
    }

    #[test]
    fn lists_of_members_are_passed_on() {
        let long = format!("{}={}", "k".repeat(256), "v".repeat(256));
        let many = vec!["a=1"; 32].join(",");
        for fields in [
            &[][..],
            &[""],
            &["rojo=00f067aa0ba902b7"],
            &["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"],
            &["a=1", "b=2"],
            &["a=1 ,\tb=2"],
            &["a=1,,b=2", ""],
            &["fw529a3039@dt=FfhZ 1:~!"],
            &["0a_-*/@=x"],
            &[&long],
            &[&many],
        ] {
            assert!(valid(fields), "{fields:?}");
        }
    }

    #[test]
    fn what_is_no_list_is_dropped() {
        let key = format!("{}=1", "k".repeat(257));
        let value = format!("k={}", "v".repeat(257));
        let many = vec!["a=1"; 33].join(",");
        for fields in [
            &["a"][..],
            &["=1"],
            &["a="],
            &["A=1"],
            &["@a=1"],
            &["a b=1"],
            &["a =1"],
            &["a=b=c"],
            &["a=1\tb"],
            &["a=1;b"; 33],
            &["a=1", "b"],
            &[&key],
            &[&value],
            &[&many],
            &["a=\u{e9}"],
        ] {
            assert!(!valid(fields), "{fields:?}");
        }
    }
}
