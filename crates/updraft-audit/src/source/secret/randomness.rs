//! Whether a text looks as if a machine had drawn it, for formats that prove nothing else.

/// What people write where a secret will be.
const MADE_UP: &[&str] = &[
    "example",
    "sample",
    "dummy",
    "fake",
    "test",
    "xxxx",
    "your",
    "redact",
    "change",
    "foobar",
    "12345",
    "abcde",
    "qwert",
    "00000",
    "aaaaa",
    "secret",
    "passw",
    "insert",
    "replace",
    "token",
    "todo",
    "mock",
    "canary",
    "hunter2",
    "default",
    "invalid",
    "placeholder",
];

/// Shannon's entropy in bits for each byte.
#[must_use]
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let length = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|share| -share * share.log2())
        .sum()
}

/// Whether a text is of the kind that a machine draws: none of the words that people write,
/// no runs of the alphabet, letters and digits mixed, and this many bits for each byte.
#[must_use]
pub(super) fn is_drawn(text: &[u8], bits: f64) -> bool {
    let small = text.to_ascii_lowercase();
    let says = |word: &&&str| small.windows(word.len()).any(|part| part == word.as_bytes());
    let letters = text.iter().any(u8::is_ascii_alphabetic);
    let digits = text.iter().any(u8::is_ascii_digit);
    letters
        && digits
        && MADE_UP.iter().find(says).is_none()
        && !is_a_row(text)
        && entropy(text) >= bits
}

/// Whether a third of the text only counts up, down, or repeats.
fn is_a_row(text: &[u8]) -> bool {
    let steps = text.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count();
    steps * 3 > text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_not_drawn() {
        for text in [
            "xxxxxxxxxxxxxxxxxxxxxxxx",
            "your-token-goes-here-123",
            "abcdefghijklmnopqrstuvwx",
            "ABCDEFGH98765432ABCDEFGH",
            "MyExampleKey9dK2pQ7zL4wN",
            "thisisonlylettersandmore",
            "838383838383838383838383",
        ] {
            assert!(!is_drawn(text.as_bytes(), 3.0), "{text}");
        }
        assert!(is_drawn(b"9dK2pQ7zL4wNv8Rb3xTcY6mH", 4.0));
    }

    #[test]
    fn entropy_is_that_of_shannon() {
        for (text, bits) in [("", 0.0), ("aaaa", 0.0), ("abab", 1.0), ("abcd", 2.0)] {
            assert!((entropy(text.as_bytes()) - bits).abs() < 1e-9, "{text}");
        }
    }
}
