//! The checksum that GitHub and npm put into their tokens: CRC-32 in base 62.
//!
//! <https://github.blog/engineering/behind-githubs-new-authentication-token-formats/>: the last
//! six characters are the CRC-32 of what is between the prefix and them, padded with zeros.

/// Characters of the checksum.
const LENGTH: usize = 6;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether the last six characters are the checksum of those before them.
pub(super) fn is_right(token: &[u8]) -> bool {
    token.split_last_chunk::<LENGTH>().is_some_and(|(body, sum)| *sum == of(body))
}

/// The six characters.
pub(super) fn of(body: &[u8]) -> [u8; LENGTH] {
    let mut rest = crc32(body);
    let mut sum = [b'0'; LENGTH];
    // 62^6 is more than 2^32, so that six digits are always enough.
    for place in sum.iter_mut().rev() {
        let digit = usize::try_from(rest % 62).unwrap_or_default();
        *place = DIGITS[digit];
        rest /= 62;
    }
    sum
}

/// CRC-32 of ISO 3309, as zlib has it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc >>= 1;
            if low == 1 {
                crc ^= 0xEDB8_8320;
            }
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926, "the check value of the CRC catalogue");
        assert_eq!(of(b""), *b"000000");
        // A token that was published to show the format, and is revoked.
        assert_eq!(of(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"), *b"0mLq17");
    }

    #[test]
    fn one_other_character_makes_it_wrong() {
        let body = b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ";
        let token = [body.as_slice(), &of(body)].concat();
        assert!(is_right(&token));
        for place in 0..token.len() {
            let mut other = token.clone();
            other[place] = if other[place] == b'x' { b'y' } else { b'x' };
            assert!(!is_right(&other), "{place}");
        }
        assert!(!is_right(b"short"));
    }
}
