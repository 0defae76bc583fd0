//! Keys of AWS: an id says which account, and the secret beside it opens it.

use super::randomness::{entropy, is_drawn};
use super::scan::{Judgement, Weight};

/// How far from its id a secret can stand: some lines of a configuration.
const NEAR: usize = 300;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The ids of keys carry the number of the account in base 32, since 2019:
/// <https://awsteele.com/blog/2020/09/26/aws-access-key-format.html>.
const ACCOUNT_MAX: u64 = 999_999_999_999;

/// Judges the id at a place. An id alone is no secret.
pub(super) fn judge(text: &[u8], start: usize) -> Option<Judgement> {
    let end = start + 20;
    let id = text.get(start + 4..end)?;
    let before = start.checked_sub(1).map(|place| text[place]);
    let is_bounded = ![before, text.get(end).copied()].into_iter().flatten().any(is_of_secret);
    if !is_bounded || id.ends_with(b"EXAMPLE") || !is_id(id) {
        return None;
    }
    let near = &text[end..text.len().min(end + NEAR)];
    let ahead = &text[start.saturating_sub(NEAR)..start];
    if !has_secret(near) && !has_secret(ahead) {
        return None;
    }
    let weight = if text[start..].starts_with(b"AKIA") { Weight::Fail } else { Weight::Warn };
    let what = match weight {
        Weight::Fail => "an access key of AWS with its secret (`AKIA…`)",
        _ => "a temporary access key of AWS with its secret (`ASIA…`)",
    };
    Some(Judgement { weight, what, end })
}

/// Sixteen digits of base 32 that name an account; older ones, which begin with `I` or `J`,
/// name none.
fn is_id(id: &[u8]) -> bool {
    let mut number = 0_u64;
    for (place, letter) in id.iter().enumerate() {
        let Some(digit) = ALPHABET.iter().position(|known| known == letter) else { return false };
        // Ten digits are the first 50 bits; the account is in the 40 after the first.
        if place < 10 {
            number = (number << 5) | u64::try_from(digit).unwrap_or_default();
        }
    }
    let account = (number >> 9) & ((1 << 40) - 1);
    let is_old = matches!(id.first(), Some(b'I' | b'J'));
    (is_old || account <= ACCOUNT_MAX) && entropy(id) >= 2.5
}

fn is_of_secret(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+')
}

/// Forty characters of Base64 by themselves; forty of base 16 are the id of a commit.
fn has_secret(text: &[u8]) -> bool {
    text.split(|byte| !is_of_secret(*byte)).any(|word| {
        let mixed =
            word.iter().any(u8::is_ascii_uppercase) && word.iter().any(u8::is_ascii_lowercase);
        word.len() == 40 && mixed && is_drawn(word, 4.0)
    })
}
