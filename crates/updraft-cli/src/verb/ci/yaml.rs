//! Writes YAML 1.2, always in the same way: what may be read as anything but text is in
//! quotes, by the rules of JSON, which are rules of YAML too.

/// The width of one level.
const INDENT: usize = 2;

/// A document, in the order in which it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Yaml {
    /// Text.
    Text(String),
    /// Text, and a comment behind it.
    Noted(String, &'static str),
    /// Text of several lines.
    Lines(Vec<String>),
    /// A number.
    Number(u32),
    /// A truth value.
    Truth(bool),
    /// Nothing: the key alone says it.
    Empty,
    /// A list.
    List(Vec<Yaml>),
    /// Keys and their values. Keys are ours, and need no quotes.
    Map(Vec<(String, Yaml)>),
}

/// A map of these keys.
pub(super) fn map<const N: usize>(entries: [(&str, Yaml); N]) -> Yaml {
    Yaml::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A text.
pub(super) fn text(text: impl Into<String>) -> Yaml {
    Yaml::Text(text.into())
}

/// A list of texts.
pub(super) fn texts<T: ToString>(texts: impl IntoIterator<Item = T>) -> Yaml {
    Yaml::List(texts.into_iter().map(|text| Yaml::Text(text.to_string())).collect())
}

impl Yaml {
    /// A map with one entry more.
    pub(super) fn with(mut self, key: &str, value: Yaml) -> Self {
        if let Self::Map(entries) = &mut self {
            entries.push((key.to_owned(), value));
        }
        self
    }

    /// The text of the document.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    /// Writes a block that begins at the current place of the line.
    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (index, (key, value)) in entries.iter().enumerate() {
                    if 0 < index {
                        indent(out, depth);
                    }
                    out.push_str(key);
                    out.push(':');
                    value.write_after_key(out, depth);
                }
            }
            Self::List(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    if 0 < index {
                        indent(out, depth);
                    }
                    out.push_str("- ");
                    item.write(out, depth + 1);
                }
            }
            scalar => {
                scalar.write_scalar(out, depth);
                out.push('\n');
            }
        }
    }

    fn write_after_key(&self, out: &mut String, depth: usize) {
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                out.push('\n');
                indent(out, depth + 1);
                self.write(out, depth + 1);
            }
            Self::List(items) if !items.is_empty() => {
                out.push('\n');
                indent(out, depth + 1);
                self.write(out, depth + 1);
            }
            Self::Empty => out.push('\n'),
            scalar => {
                out.push(' ');
                scalar.write_scalar(out, depth);
                out.push('\n');
            }
        }
    }

    fn write_scalar(&self, out: &mut String, depth: usize) {
        match self {
            Self::Text(text) => out.push_str(&scalar(text)),
            Self::Noted(text, note) => out.push_str(&format!("{} # {note}", scalar(text))),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Truth(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Lines(lines) => {
                out.push('|');
                for line in lines {
                    out.push('\n');
                    if !line.is_empty() {
                        indent(out, depth + 1);
                        out.push_str(line);
                    }
                }
            }
            Self::Empty => {}
            Self::List(_) => out.push_str("[]"),
            Self::Map(_) => out.push_str("{}"),
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n(' ', depth * INDENT));
}

/// Plain where every YAML takes it for that text, else in quotes.
fn scalar(text: &str) -> String {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let goes_on =
        text.bytes().all(|b| b.is_ascii_alphanumeric() || b" /._@+,()<>=|&-".contains(&b));
    let ends = !text.ends_with(' ');
    if begins && goes_on && ends && !is_reserved(text) {
        return text.to_owned();
    }
    // What JSON puts in quotes, YAML reads alike.
    serde_json::Value::from(text).to_string()
}

/// Words that YAML 1.1 or 1.2 reads as something else than text.
fn is_reserved(text: &str) -> bool {
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(yaml: &Yaml) -> Value {
        let text = yaml.render();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn every_text_is_read_back_as_itself() {
        let odd = [
            "",
            " ",
            "a",
            "a b",
            " a",
            "a ",
            "true",
            "Yes",
            "on",
            "null",
            "~",
            "1",
            "1.0",
            "0x1f",
            "1e3",
            ".inf",
            "-",
            "- a",
            "a: b",
            "a #b",
            "#a",
            "a:",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a",
            "'a'",
            "\"a\"",
            "a\nb",
            "a\tb",
            "\\",
            "{a}",
            "[a]",
            "|",
            ">",
            "a, b",
            "?",
            "? a",
            "${{ matrix.service }}",
            "refs/heads/main",
            "é",
            "\u{7}",
            "2026-11-26",
            "a\u{85}b",
            "updraft -C 'a b' check \"$SERVICE\"",
            "<<",
            "=",
            "n",
            "12:30:45",
        ];
        for text in odd {
            let plain = Yaml::Text(text.to_owned());
            assert_eq!(read(&map([("key", plain.clone())])), json!({ "key": text }), "{text:?}");
            assert_eq!(read(&Yaml::List(vec![plain])), json!([text]), "{text:?}");
        }
    }

    #[test]
    fn blocks_nest_in_each_other() {
        let inner = map([("a", Yaml::List(vec![])), ("b", map([])), ("c", Yaml::Truth(false))]);
        let list = Yaml::List(vec![
            inner.clone(),
            Yaml::List(vec![Yaml::Number(1), inner]),
            Yaml::Noted("v".to_owned(), "a note: with # signs"),
        ]);
        let lines =
            Yaml::Lines(["one", "", "  three: \"3\" # no comment"].map(str::to_owned).into());
        let whole = map([("list", list), ("lines", lines), ("empty", Yaml::Empty)]);
        let inner = json!({ "a": [], "b": {}, "c": false });
        let expected = json!({
            "list": [inner, [1, inner], "v"],
            "lines": "one\n\n  three: \"3\" # no comment\n",
            "empty": null,
        });
        assert_eq!(read(&whole), expected, "{}", whole.render());
    }
}
