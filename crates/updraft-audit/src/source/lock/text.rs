//! Manifests and lockfiles as text, with a bound.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Larger lockfiles are not read.
const SIZE_MAX: u64 = 64 << 20;

/// The text of a file; `None`: there is none, it is larger, or it is not text.
pub(super) fn read(path: &Path) -> Option<String> {
    let Ok(file) = File::open(path) else { return None };
    let mut text = String::new();
    let read = file.take(SIZE_MAX).read_to_string(&mut text);
    read.is_ok_and(|length| u64::try_from(length).is_ok_and(|length| length < SIZE_MAX))
        .then_some(text)
}

/// The table of a TOML file.
pub(super) fn toml(path: &Path) -> Option<toml::Table> {
    toml::from_str(&read(path)?).ok()
}

/// The value of a JSON file.
pub(super) fn json(path: &Path) -> Option<serde_json::Value> {
    let text = read(path)?;
    serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()
}

/// The path of a folder as seen from one above it, with `/` between its parts.
pub(super) fn relative(folder: &Path, above: &Path) -> String {
    folder.strip_prefix(above).unwrap_or(Path::new("")).to_string_lossy().into_owned()
}
