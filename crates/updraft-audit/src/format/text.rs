//! Text of unknown origin, made fit to be shown; and how to mend, in the language that fits.

use crate::catalogue::{Language, ProbeId, Text, Texts};
use crate::report::{Finding, Report};

/// One line without characters that act instead of being seen: controls, changes of the writing
/// direction, and what XML cannot hold. They are written as Rust would escape them. A blank that
/// holds words together is a blank.
pub(super) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\u{a0}' => line.push(' '),
            _ if is_active(letter) => line.extend(letter.escape_default()),
            _ => line.push(letter),
        }
    }
    line
}

fn is_active(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// As it stands between tags or in quotes, in HTML and in XML; lines and tabs are kept.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(letter),
            _ if is_active(letter) => out.extend(letter.escape_default()),
            _ => out.push(letter),
        }
    }
    out
}

/// [`printable`] and [`escaped`].
pub(super) fn quoted(text: &str) -> String {
    escaped(&printable(text))
}

/// At most so many letters; the last one says that there were more.
pub(super) fn shortened(text: &str, most: usize, more: &str) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(more.chars().count());
    let kept: String = text.chars().take(room).collect();
    format!("{}{more}", kept.trim_end())
}

/// What should hold, or the id of the probe where nothing is told of it.
pub(super) fn title(texts: &Texts, id: ProbeId) -> &str {
    match texts.of(id).title.trim() {
        "" => id.as_str(),
        title => title,
    }
}

/// How to mend a finding: in the language of its program where the command shows it, else in
/// the first there is.
pub(super) fn mend<'a>(
    report: &Report,
    texts: &'a Texts,
    finding: &Finding,
) -> Option<(Language, &'a str)> {
    let told = told(texts.of(finding.id));
    let language = language_of(report, &finding.program);
    let fitting = told.iter().copied().find(|(one, _)| Some(*one) == language);
    fitting.or_else(|| told.first().copied())
}

/// How to mend it, in each language that it is told in.
pub(super) fn told(text: &Text) -> Vec<(Language, &str)> {
    let told = text.mend.iter().map(|(language, mend)| (*language, mend.trim()));
    told.filter(|(_, mend)| !mend.is_empty()).collect()
}

/// The language of a program, where its command shows it.
fn language_of(report: &Report, program: &str) -> Option<Language> {
    let program = report.target.programs.iter().find(|one| one.name == program)?;
    // `sh -c "exec node x.js"` is one word of three.
    let words = program.command.iter().flat_map(|word| word.split_whitespace());
    words.into_iter().find_map(language_of_word)
}

fn language_of_word(word: &str) -> Option<Language> {
    let name = word.rsplit('/').next().unwrap_or(word);
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    match stem {
        "node" | "nodejs" | "npm" | "npx" | "pnpm" | "yarn" | "bun" | "deno" | "tsx" => {
            return Some(Language::Node);
        }
        "python" | "pypy" | "gunicorn" | "uvicorn" | "waitress-serve" | "hypercorn" | "flask"
        | "daphne" | "granian" | "uv" | "poetry" => return Some(Language::Python),
        "java" | "gradlew" | "mvn" | "mvnw" => return Some(Language::Java),
        "go" => return Some(Language::Go),
        "cargo" => return Some(Language::Rust),
        _ => {}
    }
    match name.rsplit_once('.')?.1 {
        "js" | "mjs" | "cjs" | "ts" | "mts" => Some(Language::Node),
        "py" => Some(Language::Python),
        "jar" => Some(Language::Java),
        "go" => Some(Language::Go),
        _ => None,
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
