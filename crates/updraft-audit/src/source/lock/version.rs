//! Whether a version satisfies a requirement, where the simple rules decide.
//!
//! Pre-releases, tags, ranges with a hyphen and all that is rare have no answer: `None`.

use std::cmp::Ordering;

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Cargo: a bare version is a caret, clauses are joined by commas.
    Cargo,
    /// npm, pnpm, Yarn: a bare version is itself, clauses are joined by spaces and `||`.
    Npm,
    /// PEP 440: commas, `==`, `~=`.
    Python,
}

/// Four numbers; absent ones are zero.
type Numbers = [u64; 4];

/// Whether it does; `None`: the simple rules do not decide.
pub(super) fn satisfies(dialect: Dialect, requirement: &str, version: &str) -> Option<bool> {
    let version = full(parts(version.trim().trim_start_matches('v'))?);
    let alternatives: Vec<&str> = match dialect {
        Dialect::Npm => requirement.split("||").collect(),
        Dialect::Cargo | Dialect::Python => vec![requirement],
    };
    let mut any = false;
    for alternative in alternatives {
        let mut all = true;
        for clause in clauses(dialect, alternative)? {
            all &= holds(dialect, clause, version)?;
        }
        any |= all;
    }
    Some(any)
}

fn clauses(dialect: Dialect, text: &str) -> Option<Vec<&str>> {
    let text = text.trim();
    if dialect != Dialect::Npm {
        return Some(text.split(',').map(str::trim).filter(|clause| !clause.is_empty()).collect());
    }
    // `>= 1.2` and `1.2 - 1.4`: a space is not always between clauses.
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .iter()
        .all(|word| word.bytes().any(|byte| byte.is_ascii_digit() || byte == b'*'))
        .then_some(words)
}

fn holds(dialect: Dialect, clause: &str, version: Numbers) -> Option<bool> {
    let end = clause.find(|letter: char| !"^~=<>!".contains(letter)).unwrap_or(clause.len());
    let (operator, rest) = clause.split_at(end);
    let (given, is_open) = given(rest.trim())?;
    if given.is_empty() {
        return operator.is_empty().then_some(true);
    }
    let low = full(given.clone());
    let order = version.cmp(&low);
    let within = |high: Option<Numbers>| high.map(|high| order.is_ge() && version < high);
    // `1.2` is a whole row of versions to Cargo and npm, and `1.2.0` to Python.
    let is_row = is_open || (dialect != Dialect::Python && given.len() < 3);
    let last = given.len() - 1;
    match (operator, dialect) {
        ("^", Dialect::Cargo | Dialect::Npm) | ("", Dialect::Cargo) if !is_open => {
            within(raised(&given, given.iter().position(|part| *part > 0).unwrap_or(last)))
        }
        ("~", Dialect::Cargo | Dialect::Npm) => within(raised(&given, last.min(1))),
        ("~=", Dialect::Python) => within(raised(&given, last.checked_sub(1)?)),
        ("" | "=", Dialect::Cargo | Dialect::Npm) | ("==", Dialect::Python) if is_row => {
            within(raised(&given, last))
        }
        ("" | "=", Dialect::Cargo | Dialect::Npm) | ("==" | "===", Dialect::Python) => {
            Some(order == Ordering::Equal)
        }
        _ if is_row && matches!(operator, ">" | "<=" | "!=") => {
            let high = raised(&given, last)?;
            Some(match operator {
                ">" => version >= high,
                "<=" => version < high,
                _ => version < low || version >= high,
            })
        }
        (">", _) => Some(order.is_gt()),
        (">=", _) => Some(order.is_ge()),
        ("<", _) => Some(order.is_lt()),
        ("<=", _) => Some(order.is_le()),
        ("!=", Dialect::Python) => Some(order.is_ne()),
        _ => None,
    }
}

/// The numbers before a `*` or an `x`, and whether there was one.
fn given(text: &str) -> Option<(Vec<u64>, bool)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let open = |part: &str| matches!(part, "*" | "x" | "X");
    let all: Vec<&str> = text.split('.').collect();
    match all.iter().position(|part| open(part)) {
        Some(0) => (all.len() == 1).then_some((Vec::new(), true)),
        Some(place) if all[place..].iter().all(|part| open(part)) => {
            Some((parts(&all[..place].join("."))?, true))
        }
        Some(_) => None,
        None => Some((parts(text)?, false)),
    }
}

fn parts(text: &str) -> Option<Vec<u64>> {
    let text = text.split('+').next().unwrap_or(text);
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > 4 {
        return None;
    }
    parts.into_iter().map(number).collect()
}

fn number(part: &str) -> Option<u64> {
    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { part.parse().ok() } else { None }
}

fn full(parts: Vec<u64>) -> Numbers {
    let mut numbers = [0; 4];
    for (place, part) in numbers.iter_mut().zip(parts) {
        *place = part;
    }
    numbers
}

/// The first version after all that agree with the given one up to a place.
fn raised(given: &[u64], place: usize) -> Option<Numbers> {
    let mut numbers = full(given.get(..=place)?.to_vec());
    numbers[place] = numbers[place].checked_add(1)?;
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_as_their_package_managers_read_them() {
        use Dialect::{Cargo, Npm, Python};
        let table = [
            (Cargo, "1.2", "1.9.0", Some(true)),
            (Cargo, "1.2", "1.1.9", Some(false)),
            (Cargo, "1.2", "2.0.0", Some(false)),
            (Cargo, "0.3.1", "0.3.9", Some(true)),
            (Cargo, "0.3.1", "0.4.0", Some(false)),
            (Cargo, "^0.0.3", "0.0.4", Some(false)),
            (Cargo, "0.0", "0.0.9", Some(true)),
            (Cargo, "0", "0.9.0", Some(true)),
            (Cargo, "=1.2", "1.2.9", Some(true)),
            (Cargo, "=1.2.3", "1.2.4", Some(false)),
            (Cargo, ">=1.2, <1.5", "1.5.0", Some(false)),
            (Cargo, ">1.2", "1.2.5", Some(false)),
            (Cargo, "<=1.2", "1.2.5", Some(true)),
            (Cargo, "1.*", "1.7.0", Some(true)),
            (Cargo, "*", "7.0.0", Some(true)),
            (Cargo, "1.0.0-rc.1", "1.0.0", None),
            (Cargo, "1", "1.0.0-rc.1", None),
            (Cargo, "1.2", "1.2.3+spec-1.1.0", Some(true)),
            (Npm, "1.2.3", "1.2.4", Some(false)),
            (Npm, "1.2", "1.2.4", Some(true)),
            (Npm, "^1.2.3", "1.9.0", Some(true)),
            (Npm, "~1.2.3", "1.3.0", Some(false)),
            (Npm, "~1", "1.9.0", Some(true)),
            (Npm, "^1.0.0 || ^2.0.0", "2.5.0", Some(true)),
            (Npm, ">=1.0.0 <2.0.0", "2.0.0", Some(false)),
            (Npm, "1.x", "1.4.0", Some(true)),
            (Npm, "1.0.0 - 2.0.0", "1.5.0", None),
            (Npm, ">= 1.0.0", "1.5.0", None),
            (Npm, "latest", "1.5.0", None),
            (Npm, "github:a/b", "1.5.0", None),
            (Python, ">=2,<3", "2.31.0", Some(true)),
            (Python, "==2.0", "2.0.0", Some(true)),
            (Python, "==2.0", "2.0.1", Some(false)),
            (Python, "==2.*", "2.7", Some(true)),
            (Python, "!=2.*", "2.7", Some(false)),
            (Python, "~=1.4.2", "1.5.0", Some(false)),
            (Python, "~=1.4", "1.5.0", Some(true)),
            (Python, ">1.4", "1.4.1", Some(true)),
            (Python, "", "9", Some(true)),
            (Python, ">=1.0", "2.0rc1", None),
            (Python, ">=1!2.0", "2.0", None),
        ];
        for (dialect, requirement, version, expected) in table {
            let found = satisfies(dialect, requirement, version);
            assert_eq!(found, expected, "{dialect:?} {requirement:?} {version}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(
            requirement in "[ -~]{0,20}",
            version in "[0-9.x*+-]{0,12}",
        ) {
            for dialect in [Dialect::Cargo, Dialect::Npm, Dialect::Python] {
                std::hint::black_box(satisfies(dialect, &requirement, &version));
            }
        }

        #[test]
        fn a_version_satisfies_what_begins_with_it(version in "[0-9]{1,3}(\\.[0-9]{1,3}){2}") {
            for (dialect, operators) in [
                (Dialect::Cargo, ["", "^", "~", "=", ">=", "<="]),
                (Dialect::Npm, ["", "^", "~", "=", ">=", "<="]),
                (Dialect::Python, ["==", "===", "~=", ">=", "<=", "=="]),
            ] {
                for operator in operators {
                    let requirement = format!("{operator}{version}");
                    let found = satisfies(dialect, &requirement, &version);
                    proptest::prop_assert_eq!(found, Some(true), "{:?} {}", dialect, requirement);
                }
            }
        }
    }
}
