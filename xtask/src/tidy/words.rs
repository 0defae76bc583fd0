//! Words that admit that something is not real. What is not built is absent, or
//! refused with a message to the user.

use std::path::Path;

use super::Finding;
use crate::repository::SourceFile;

/// Markers, as whole words and in this case.
const MARKERS: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// Excuses, in any case.
const EXCUSES: &[&str] = &[
    "in a real implementation",
    "in a real system",
    "in a production system",
    "placeholder implementation",
    "placeholder for",
    "dummy implementation",
    "stub implementation",
    "simplified for",
    "left as an exercise",
    "for demonstration purposes",
    "unimplemented!",
    "todo!(",
];

/// The lists above are the one place where these words are data.
const HERE: &str = "xtask/src/tidy/words.rs";

const READ: &[&str] = &["rs", "py", "js", "css", "html", "sh", "md", "toml", "yml", "yaml"];

pub(super) fn findings(files: &[SourceFile]) -> Vec<Finding> {
    let ours = files
        .iter()
        .filter(|file| READ.contains(&file.extension()) && file.path != Path::new(HERE));
    ours.flat_map(|file| in_text(&file.path, file.text.as_deref().unwrap_or_default())).collect()
}

fn in_text(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let marker = words.find(|word| MARKERS.contains(word));
        let small = line.to_lowercase();
        let excuse = EXCUSES.iter().copied().find(|excuse| small.contains(excuse));
        if let Some(found) = marker.or(excuse) {
            let text = format!("`{found}`: finish it, or leave it out");
            findings.push(Finding::at(path, number, text));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excuses_are_found_and_ordinary_words_are_not() {
        for (line, expected) in [
            ("let x = 1; // TODO: more", 1),
            ("// fixme later", 0),
            ("let todos = list(); // TODOS", 0),
            ("// In a real implementation this would connect.", 1),
            ("    unimplemented!()", 1),
            ("<input placeholder=\"name\">", 0),
            ("hackney", 0),
        ] {
            assert_eq!(in_text(Path::new("a.rs"), line).len(), expected, "{line}");
        }
    }
}
