//! The word that was probably meant by one that is unknown.

/// The nearest of `words`, where one is near enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let near = |known: &&str| distance(word, known) <= known.chars().count().div_ceil(3);
    let beginning = |known: &&str| word.len() > 2 && known.starts_with(word);
    let candidates = words.iter().copied().filter(|known| near(known) || beginning(known));
    candidates.min_by_key(|known| distance(word, known))
}

/// How many letters must be put in, taken out, exchanged, or swapped with their neighbour
/// (the optimal string alignment distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let exchanged = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = exchanged.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_told_from_other_words() {
        let words = ["attempts", "wait", "jitter", "elapsed", "budget", "name"];
        for (word, meant) in [
            ("attempt", Some("attempts")),
            ("atempts", Some("attempts")),
            ("wiat", Some("wait")),
            ("jiter", Some("jitter")),
            ("elapse", Some("elapsed")),
            ("max_retries", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, &words), meant, "{word}");
        }
    }

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 1), ("a", "a", 0)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }
}
