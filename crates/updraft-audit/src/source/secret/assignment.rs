//! Values that are given to a name such as `password`: the last resort, never more than a
//! warning.

use regex::bytes::Regex;

use super::randomness::is_drawn;

/// A name that says that its value is secret, and a quoted value of some length.
pub(super) const PATTERN: &str = r#"(?i-u)(?:secret|passwd|password|token|api_?key|access_?key|private_?key)["']?[ \t]*(?::=|=>|[:=])[ \t]*["']([A-Za-z0-9+/_=-]{24,128})["']"#;

/// The same in a file of variables, where values need no quotes.
const NAMES: &[&str] =
    &["SECRET", "PASSWORD", "PASSWD", "TOKEN", "APIKEY", "API_KEY", "ACCESS_KEY"];

/// Bits for each byte from which a value of 24 and more counts as drawn.
const BITS: f64 = 4.0;

/// The places of such values, in their order.
pub(super) fn find(pattern: &Regex, path: &str, text: &[u8]) -> Vec<(usize, &'static str)> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name == ".env" || name.starts_with(".env.") {
        return of_variables(text);
    }
    if is_made(name) {
        return Vec::new();
    }
    pattern
        .captures_iter(text)
        .filter_map(|captures| captures.get(1))
        .filter(|value| is_drawn(value.as_bytes(), BITS))
        .map(|value| (value.start(), "a value that looks like a secret"))
        .collect()
}

/// Files that programs write: their long values are checksums.
fn is_made(name: &str) -> bool {
    let ends = [".lock", ".sum", ".min.js", ".map", ".svg", "-lock.json", "-lock.yaml", ".ipynb"];
    ends.iter().any(|end| name.ends_with(end))
}

fn of_variables(text: &[u8]) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let place = start;
        start += line.len();
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches(['"', '\'']);
        let name = name.to_ascii_uppercase();
        let is_secret = NAMES.iter().any(|known| name.contains(known));
        if is_secret && value.len() >= 12 && is_drawn(value.as_bytes(), 3.0) {
            found.push((place, "a tracked file of variables with a value that looks secret"));
        }
    }
    found
}
