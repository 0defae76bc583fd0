//! The little Markdown that the texts of probes are written in (paragraphs and fenced code),
//! for a terminal and for a page.

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block<'t> {
    /// Lines that are one paragraph.
    Paragraph(Vec<&'t str>),
    /// Lines that stay as they are, and the language they are in.
    Code(&'t str, Vec<&'t str>),
}

/// The parts of a text, in their order.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix(FENCE) {
            // A fence that is never closed ends with the text.
            let code = lines.by_ref().take_while(|line| *line != FENCE).collect();
            blocks.push(Block::Code(language, code));
        } else if !line.trim().is_empty() {
            let mut paragraph = vec![line];
            let more = |line: &&str| !line.trim().is_empty() && !line.starts_with(FENCE);
            while let Some(next) = lines.next_if(more) {
                paragraph.push(next);
            }
            blocks.push(Block::Paragraph(paragraph));
        }
    }
    blocks
}

/// The text for a terminal: paragraphs broken at `width`, code further in and unbroken.
pub(super) fn plain(text: &str, width: usize, indent: &str) -> String {
    let blocks = blocks(text).into_iter().map(|block| match block {
        Block::Paragraph(lines) => wrapped(&lines.join(" "), width, indent),
        Block::Code(_, lines) => lines
            .iter()
            .map(|line| format!("{indent}    {line}").trim_end().to_owned() + "\n")
            .collect(),
    });
    blocks.collect::<Vec<String>>().join("\n")
}

/// The text for a page: its parts with an empty line between them.
pub(super) fn markdown(text: &str) -> String {
    let blocks = blocks(text).into_iter().map(|block| match block {
        Block::Paragraph(lines) => lines.join("\n") + "\n",
        Block::Code(language, lines) => {
            format!("{FENCE}{language}\n{}\n{FENCE}\n", lines.join("\n"))
        }
    });
    blocks.collect::<Vec<String>>().join("\n")
}

/// Words in lines of at most `width` characters, unless one alone is longer.
pub(super) fn wrapped(text: &str, width: usize, indent: &str) -> String {
    let mut out = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used == 0 || width < used + 1 + length {
            if used != 0 {
                out.push('\n');
            }
            out.push_str(indent);
            used = indent.chars().count();
        } else {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    if used != 0 {
        out.push('\n');
    }
    out
}

const FENCE: &str = "```";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_code_are_told_apart() {
        let text = "\none\ntwo\n```sh\na\n\n  b\n```\nthree\n\nfour\n";
        let expected = [
            Block::Paragraph(vec!["one", "two"]),
            Block::Code("sh", vec!["a", "", "  b"]),
            Block::Paragraph(vec!["three"]),
            Block::Paragraph(vec!["four"]),
        ];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn words_are_broken_at_the_width_and_code_is_not() {
        let cases = [
            ("aa bb cc", "  aa bb\n  cc\n"),
            ("aa bbb", "  aa\n  bbb\n"),
            ("a-very-long-word b", "  a-very-long-word\n  b\n"),
            ("", ""),
            ("aa\nbb\n\ncc", "  aa bb\n\n  cc\n"),
            ("```\na  b   c   d\n\ne\n```", "      a  b   c   d\n\n      e\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text, 7, "  "), expected, "{text}");
        }
    }
}
