//! What is done to text of unknown origin.

use proptest::prelude::*;

use super::*;
use crate::example::report;
use crate::report::Program;
use crate::verdict::Shape;

#[test]
fn what_acts_is_written_and_what_is_read_stays() {
    for (text, expected) in [
        ("größer → 大 \"x\" <b>", "größer → 大 \"x\" <b>"),
        ("\u{1b}[2Jx", "\\u{1b}[2Jx"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
        ("a\0\u{9b}\u{7f}", "a\\u{0}\\u{9b}\\u{7f}"),
        ("\u{ffff}\u{feff}", "\\u{ffff}\\u{feff}"),
    ] {
        assert_eq!(printable(text), expected);
    }
}

#[test]
fn a_line_is_cut_at_letters_and_says_so() {
    assert_eq!(shortened("größer", 6, "…"), "größer");
    assert_eq!(shortened("größere", 6, "…"), "größe…");
    assert_eq!(shortened("a b c d", 6, "..."), "a b...");
    assert_eq!(shortened("abc", 1, "..."), "...");
}

#[test]
fn the_language_is_that_of_the_command_or_nobodys() {
    for (command, expected) in [
        (vec!["node", "server.js"], Some(Language::Node)),
        (vec!["npm", "start"], Some(Language::Node)),
        (vec!["/usr/bin/python3.12", "-m", "http.server"], Some(Language::Python)),
        (vec!["gunicorn", "app:app"], Some(Language::Python)),
        (vec!["sh", "-c", "exec node x.js; echo"], Some(Language::Node)),
        (vec!["java", "-jar", "a.jar"], Some(Language::Java)),
        (vec!["./bin/app.py"], Some(Language::Python)),
        (vec!["go", "run", "."], Some(Language::Go)),
        (vec!["cargo", "run"], Some(Language::Rust)),
        (vec!["./server", "--config", "x.toml"], None),
        (vec!["./nodes"], None),
        (vec![], None),
    ] {
        let mut report = report();
        report.target.programs = vec![Program {
            name: "a".to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            folder: String::new(),
            deployed: Shape::Child,
        }];
        assert_eq!(language_of(&report, "a"), expected, "{command:?}");
        assert_eq!(language_of(&report, "b"), None);
    }
}

proptest! {
    #[test]
    fn what_is_escaped_ends_neither_a_tag_nor_a_quote(text in "(?s).{0,60}") {
        let safe = quoted(&text);
        prop_assert!(!safe.contains(['<', '>', '"', '\'']));
        prop_assert!(safe.chars().all(|letter| !letter.is_control()));
        for (at, _) in safe.match_indices('&') {
            let entity = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
            prop_assert!(entity.iter().any(|one| safe[at..].starts_with(one)), "{}", safe);
        }
    }
}
