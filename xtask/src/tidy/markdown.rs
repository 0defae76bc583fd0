//! The little of Markdown that the checks read: code fences, headings, links, code spans.

/// A line outside of code fences, counted from 1.
pub(super) struct Prose<'a> {
    pub(super) number: usize,
    pub(super) text: &'a str,
}

/// The lines that are not inside a code fence.
pub(super) fn prose(text: &str) -> Vec<Prose<'_>> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let start = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| start.starts_with(marker));
        match (fence, marker) {
            (None, Some(opened)) => fence = Some(opened),
            (Some(open), Some(closing)) if open == closing => fence = None,
            (None, None) => lines.push(Prose { number, text: line }),
            (Some(_), _) => {}
        }
    }
    lines
}

/// The anchors that GitHub makes of a page's headings.
pub(super) fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for line in prose(text) {
        let title = line.text.trim_start_matches('#');
        if title.len() < line.text.len() && title.starts_with(' ') {
            let slug = slug(title.trim());
            let same = anchors.iter().filter(|anchor| **anchor == slug).count();
            anchors.push(if same == 0 { slug } else { format!("{slug}-{same}") });
        }
    }
    anchors
}

fn slug(title: &str) -> String {
    title
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// The targets of inline links, images and link definitions of one line.
pub(super) fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find("](") {
        // A link inside a code span is an example of a link.
        let in_code = rest[..start].matches('`').count() % 2 == 1;
        rest = &rest[start + 2..];
        let Some(end) = rest.find(')') else { break };
        if !in_code {
            targets.extend(rest[..end].split_whitespace().next());
        }
        rest = &rest[end..];
    }
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        targets.extend(target.split_whitespace().next());
    }
    targets
}

/// The texts between single backquotes.
pub(super) fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_a_person_reads_them() {
        for (line, expected) in [
            ("see [a](b.md) and ![c](d.png \"title\")", vec!["b.md", "d.png"]),
            ("[ref]: docs/x.md", vec!["docs/x.md"]),
            ("`[a](b.md)` is a link", vec![]),
            ("`x` [a](b.md)", vec!["b.md"]),
            ("nothing (here)", vec![]),
        ] {
            assert_eq!(targets(line), expected, "{line}");
        }
    }

    #[test]
    fn headings_become_anchors_as_on_github() {
        let page =
            "# The `one` idea: one graph\n\n```sh\n# no heading\n```\n## Same\n## Same\n#none\n";
        assert_eq!(anchors(page), ["the-one-idea-one-graph", "same", "same-1"]);
    }

    #[test]
    fn code_spans_are_the_odd_parts() {
        assert_eq!(code_spans("held by `a::b` and `c`."), ["a::b", "c"]);
        assert!(code_spans("none").is_empty());
    }
}
