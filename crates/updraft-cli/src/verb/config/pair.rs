//! `service.KEY=value`, as a word of the command line and as a line of a file.

use std::io::Read;
use std::str::FromStr;

use secrecy::SecretString;
use updraft_release::{InvalidSetting, Setting};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The most that is read from a file or stdin.
const INPUT_BYTES_MAX: u64 = 1024 * 1024;
/// The value that stands for stdin.
const STDIN: &str = "-";

/// A setting and its value.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) setting: Setting,
    pub(super) value: Given,
}

/// Where a value is.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// Here.
    Here(SecretString),
    /// It comes from stdin.
    Stdin,
}

/// The word is no pair. What may be a secret is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidPair {
    #[error("write it as `service.KEY=value`, or `service.KEY=-` for a value from stdin")]
    NoValue,
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
}

impl FromStr for Pair {
    type Err = InvalidPair;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (setting, value) = text.split_once('=').ok_or(InvalidPair::NoValue)?;
        // What is no name at all may be a value whose name was forgotten.
        let of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !setting.bytes().all(of_names) {
            return Err(InvalidPair::NoValue);
        }
        let value = match value {
            STDIN => Given::Stdin,
            value => Given::Here(SecretString::from(value.to_owned())),
        };
        Ok(Self { setting: setting.parse()?, value })
    }
}

/// The pairs that words of the command line are; all that are none are told at once. The
/// parser of the command line would repeat them.
pub(super) fn words(words: &[String]) -> Result<Vec<Pair>, Failure> {
    let (mut pairs, mut problems) = (Vec::new(), Vec::new());
    for (index, word) in words.iter().enumerate() {
        match word.parse() {
            Ok(pair) => pairs.push(pair),
            Err(invalid) => problems.push(format!("value {}: {invalid}", index + 1)),
        }
    }
    match problems.as_slice() {
        [] => Ok(pairs),
        [one] => Err(Failure::usage(one)),
        many => {
            Err(Failure::usage(format!("{} words set nothing", many.len())).caused_by(problems))
        }
    }
}

/// All of an input, with a bound.
pub(super) fn read(mut input: impl Read, what: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = input.by_ref().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text);
    let read = read
        .map_err(|error| Failure::usage(format!("cannot read {what} as text")).because(&error))?;
    if u64::try_from(read).is_ok_and(|read| read <= INPUT_BYTES_MAX) {
        return Ok(text);
    }
    Err(Failure::usage(format!("{what} is longer than {INPUT_BYTES_MAX} bytes")))
}

/// The settings in a file of lines `service.KEY=value`; `#` begins a comment line, and quotes
/// around a value are not part of it. All lines that are none of this are told at once.
pub(super) fn lines(text: &str, file: &str) -> Result<Vec<(Setting, SecretString)>, Failure> {
    let (mut pairs, mut problems) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.split_once('=').map(|(name, value)| (name.trim().parse(), value.trim()));
        match pair {
            Some((Ok(setting), value)) => {
                let quoted =
                    |quote: char| value.strip_prefix(quote).and_then(|it| it.strip_suffix(quote));
                let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
                pairs.push((setting, SecretString::from(value.to_owned())));
            }
            // The line is not repeated: it may hold a secret.
            _ => problems.push(format!("{file}:{}: write service.KEY=value", index + 1)),
        }
    }
    if problems.is_empty() {
        return Ok(pairs);
    }
    let message = format!("{} lines of {file} set nothing", problems.len());
    Err(Failure::usage(message).caused_by(problems))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_word_is_a_setting_and_a_value() {
        let said = |word: &str| match word.parse::<Pair>() {
            Ok(Pair { setting, value: Given::Stdin }) => format!("{setting} from stdin"),
            Ok(Pair { setting, value: Given::Here(value) }) => {
                format!("{setting} is {}", value.expose_secret())
            }
            Err(error) => error.to_string(),
        };
        let form = "write it as `service.KEY=value`, or `service.KEY=-` for a value from stdin";
        let cases = [
            ("a.KEY=1", "a.KEY is 1"),
            ("a.KEY=", "a.KEY is "),
            ("a.KEY=x=y", "a.KEY is x=y"),
            ("a.KEY=-", "a.KEY from stdin"),
            ("a.KEY=--", "a.KEY is --"),
            ("db=-", "db from stdin"),
            ("a.KEY", form),
            ("hunter2", form),
            ("postgres://u:hunter2@h/x?a=b", form),
            (
                "A.KEY=hunter2",
                "`A.KEY` names no value: write `service.KEY`, or the name of a resource for its address",
            ),
        ];
        for (word, expected) in cases {
            assert_eq!(said(word), expected, "{word}");
            assert!(!format!("{:?}", word.parse::<Pair>()).contains("x=y"));
        }
    }

    #[test]
    fn a_file_is_read_line_by_line_and_its_mistakes_never_repeat_a_value() {
        let text = "# a\n\n a.KEY = \"two words\" \na.B='x'\na.C=\"\ndb=postgres://h/x\n";
        let pairs = lines(text, "f").unwrap();
        let pairs: Vec<_> =
            pairs.iter().map(|(it, value)| format!("{it}={}", value.expose_secret())).collect();
        assert_eq!(pairs, ["a.KEY=two words", "a.B=x", "a.C=\"", "db=postgres://h/x"]);
        let Err(Failure::Said(said)) = lines("hunter2\na.OK=1\nA B=hunter2\n", "f") else {
            panic!("refused");
        };
        assert_eq!(said.causes, ["f:1: write service.KEY=value", "f:3: write service.KEY=value"]);
    }
}
