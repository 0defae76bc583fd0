//! Splitting a text of SQL into its statements, by PostgreSQL's rules of what a `;` can be
//! within: quotes of four kinds and comments of two (section 4.1 of its manual).

/// The statements, without those that say nothing.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut begin = 0;
    let mut says_something = false;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (length, kind) = token(rest, text.get(..at).and_then(|before| before.chars().last()));
        match kind {
            Token::End => {
                if says_something {
                    statements.extend(text.get(begin..at).map(str::trim));
                }
                begin = at + length;
                says_something = false;
            }
            Token::Silent => {}
            Token::Word => says_something = true,
        }
        at += length;
    }
    if says_something {
        statements.extend(text.get(begin..).map(str::trim));
    }
    statements
}

/// Whether the text has this name as a word.
pub(super) fn names(text: &str, name: &str) -> bool {
    let part = |it: char| it.is_alphanumeric() || it == '_' || it == '$';
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|it| it.chars().last());
        let after = text.get(at + name.len()..).and_then(|it| it.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

enum Token {
    /// A semicolon.
    End,
    /// White space or a comment.
    Silent,
    Word,
}

/// The length of what the text begins with, and what it is. What is not closed goes on to the
/// end: the database will say so.
fn token(text: &str, before: Option<char>) -> (usize, Token) {
    let first = text.chars().next().unwrap_or_default();
    match first {
        ';' => (1, Token::End),
        '-' if text.starts_with("--") => {
            (text.find('\n').map_or(text.len(), |at| at + 1), Token::Silent)
        }
        '/' if text.starts_with("/*") => (comment(text), Token::Silent),
        '\'' => (quoted(text, '\'', matches!(before, Some('e' | 'E'))), Token::Word),
        '"' => (quoted(text, '"', false), Token::Word),
        '$' if !before.is_some_and(|it| it.is_alphanumeric() || it == '_') => {
            (dollars(text).unwrap_or(1), Token::Word)
        }
        it if it.is_whitespace() => (it.len_utf8(), Token::Silent),
        it => (it.len_utf8(), Token::Word),
    }
}

/// Comments nest.
fn comment(text: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// A doubled quote is one quote, which is the same as two texts side by side.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if escapes && it == '\\' {
            escaped = true;
        } else if it == quote {
            return at + 1;
        }
    }
    text.len()
}

/// `$tag$ … $tag$`; `None` where it is a placeholder.
fn dollars(text: &str) -> Option<usize> {
    let tag = text.get(1..)?.find('$')? + 2;
    let name = text.get(1..tag - 1)?;
    let good = |it: char| it.is_alphanumeric() || it == '_';
    if !name.chars().all(good) || name.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    let close = text.get(tag..)?.find(text.get(..tag)?);
    Some(close.map_or(text.len(), |at| tag + at + tag))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_semicolon_ends_a_statement_where_it_is_one() {
        for (text, expected) in [
            ("", &[][..]),
            (" ; ;\n", &[]),
            ("-- only; this", &[]),
            ("SELECT 1", &["SELECT 1"]),
            ("SELECT 1; SELECT 2 ;", &["SELECT 1", "SELECT 2"]),
            ("SELECT ';'; SELECT 'it''s; one'", &["SELECT ';'", "SELECT 'it''s; one'"]),
            ("SELECT E'a\\';b'; SELECT 2", &["SELECT E'a\\';b'", "SELECT 2"]),
            ("SELECT \";\"; SELECT 2", &["SELECT \";\"", "SELECT 2"]),
            ("SELECT /* ; /* ; */ ; */ 1; SELECT 2", &["SELECT /* ; /* ; */ ; */ 1", "SELECT 2"]),
            ("SELECT 1 -- ;\n; SELECT 2", &["SELECT 1 -- ;", "SELECT 2"]),
            ("DO $$ BEGIN x; END $$; SELECT 2", &["DO $$ BEGIN x; END $$", "SELECT 2"]),
            ("DO $a$ x; $$ ; $a$; SELECT $1", &["DO $a$ x; $$ ; $a$", "SELECT $1"]),
            ("SELECT a$b; SELECT 2", &["SELECT a$b", "SELECT 2"]),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_is_found_as_a_word_only() {
        assert!(names("CREATE INDEX CONCURRENTLY a_idx ON t (x)", "a_idx"));
        assert!(names("CREATE INDEX \"a_idx\" ON t (x)", "a_idx"));
        assert!(!names("CREATE INDEX a_idx2 ON t (x)", "a_idx"));
        assert!(!names("CREATE INDEX my_a_idx ON t (x)", "a_idx"));
    }

    proptest! {
        #[test]
        fn any_text_is_split_and_loses_nothing_that_says_something(text in "[a'\"$;/*\\- \n\\\\Eé]{0,40}") {
            let statements = split(&text);
            let mut rest = text.as_str();
            for statement in statements {
                let at = rest.find(statement).unwrap();
                rest = &rest[at + statement.len()..];
            }
        }

        #[test]
        fn statements_are_found_again_among_semicolons(words in prop::collection::vec("[a-z]{1,5}", 0..6)) {
            let text = words.join(" ; ");
            prop_assert_eq!(split(&text), words);
        }
    }
}
