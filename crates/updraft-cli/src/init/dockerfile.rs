//! The command of a Dockerfile: what its last stage starts.

/// Whether the image says that its program listens.
pub(super) fn listens(text: &str) -> bool {
    let mut words = text.lines().filter_map(|line| line.split_whitespace().next());
    words.any(|word| word.eq_ignore_ascii_case("EXPOSE"))
}

/// The command line of `ENTRYPOINT` and `CMD`; `None`: the base image has it.
pub(super) fn command(text: &str) -> Option<String> {
    let (mut entrypoint, mut cmd) = (None, None);
    // A backslash at the end of a line continues it.
    for line in text.replace("\\\r\n", " ").replace("\\\n", " ").lines() {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word.to_ascii_uppercase().as_str() {
            // Each stage starts anew.
            "FROM" => (entrypoint, cmd) = (None, None),
            "ENTRYPOINT" => (entrypoint, cmd) = (Some(words(rest)), None),
            "CMD" => cmd = Some(words(rest)),
            _ => {}
        }
    }
    let parts: Vec<String> = entrypoint.into_iter().chain(cmd).collect();
    let command = parts.join(" ");
    (!command.trim().is_empty()).then_some(command)
}

/// Both the exec form, a JSON array, and the shell form.
fn words(rest: &str) -> String {
    match serde_json::from_str::<Vec<String>>(rest.trim()) {
        Ok(words) => shell_words::join(words),
        Err(_) => rest.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stage_tells_the_command() {
        let cases = [
            ("FROM a\nCMD [\"node\", \"my server.js\"]", Some("node 'my server.js'")),
            ("FROM a\ncmd node server.js", Some("node server.js")),
            ("FROM a\nENTRYPOINT [\"python\"]\nCMD [\"-m\", \"app\"]", Some("python -m app")),
            ("FROM a AS b\nCMD x\nFROM c\nRUN y", None),
            ("FROM a\nCMD one \\\n  two", Some("one    two")),
            ("FROM a\nCMD []", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(command(text).as_deref(), expected, "{text}");
        }
    }
}
