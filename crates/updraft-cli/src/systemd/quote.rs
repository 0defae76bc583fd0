//! Words of a unit file, quoted by the rules of systemd.syntax(7), systemd.unit(5) and
//! systemd.service(5).

/// The value cannot stand in a unit file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{shown}` holds {found}, which a unit file cannot hold")]
pub(crate) struct Unquotable {
    what: &'static str,
    shown: String,
    found: &'static str,
}

/// One word of a setting that is a list of words: in quotes where it must be, with `%` kept
/// from being read as a specifier. Variables are not dealt with: see [`program`].
///
/// # Errors
///
/// [`Unquotable`] for line breaks and other control characters.
pub(crate) fn word(what: &'static str, text: &str) -> Result<String, Unquotable> {
    let doubled = specifiers(what, text)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,=:@%".contains(&byte);
    if !doubled.is_empty() && doubled.bytes().all(is_plain) {
        return Ok(doubled);
    }
    Ok(format!("\"{}\"", doubled.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// The first word of `ExecStart=`, with which no `$` of the line is read as a variable.
///
/// # Errors
///
/// [`Unquotable`] for what systemd takes in no path of a program, however it is quoted.
pub(crate) fn program(what: &'static str, path: &str) -> Result<String, Unquotable> {
    if path.contains(['"', '\'', '\\']) {
        let found = "a quote or a backslash";
        return Err(Unquotable { what, shown: path.escape_debug().to_string(), found });
    }
    word(what, &format!(":{path}"))
}

/// A setting that is one value to the end of its line: only `%` has a meaning in it.
///
/// # Errors
///
/// [`Unquotable`] for line breaks and other control characters.
pub(crate) fn specifiers(what: &'static str, text: &str) -> Result<String, Unquotable> {
    let refused = |found| Err(Unquotable { what, shown: text.escape_debug().to_string(), found });
    if text.contains(['\n', '\r']) {
        return refused("a line break");
    }
    if text.chars().any(char::is_control) {
        return refused("a control character");
    }
    Ok(text.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_systemd_reads_them() {
        let table = [
            ("/usr/bin/updraft", "/usr/bin/updraft"),
            ("--resume", "--resume"),
            ("A=b", "A=b"),
            ("", "\"\""),
            ("/with space", "\"/with space\""),
            ("/100%", "/100%%"),
            ("/%h/%%", "/%%h/%%%%"),
            ("say \"hi\"", "\"say \\\"hi\\\"\""),
            ("it's", "\"it's\""),
            ("back\\slash", "\"back\\\\slash\""),
            (";", "\";\""),
            ("#no", "\"#no\""),
            ("$HOME", "\"$HOME\""),
            ("/été", "\"/été\""),
        ];
        for (text, expected) in table {
            assert_eq!(word("the word", text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_ends_a_line_is_refused_by_name() {
        for (text, found) in
            [("a\nUser=root", "a line break"), ("a\rb", "a line break"), ("a\u{1b}b", "a control")]
        {
            let refused = word("the folder", text).unwrap_err().to_string();
            assert!(refused.contains(found) && refused.contains("the folder"), "{refused}");
            assert!(!refused.contains('\n'), "{refused}");
        }
    }
}
