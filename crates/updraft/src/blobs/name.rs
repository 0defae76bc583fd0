//! Names of blobs: the same on every kind, and never a way out of the place.

use object_store::path::Path;

use super::BlobError;

/// The longest name, in bytes: that of S3.
const NAME_BYTES: usize = 1024;

/// The longest part between slashes: that of file systems, with room for what is being
/// written.
const PART_BYTES: usize = 200;

/// Where the locks of the kind `file:` are.
pub(super) const LOCKS: &str = ".updraft-locks";

/// A name that every kind takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlobName(pub(super) Path);

impl BlobName {
    /// # Errors
    ///
    /// [`BlobError::Name`].
    pub(super) fn parse(text: &str) -> Result<Self, BlobError> {
        let wrong = || BlobError::Name { max: NAME_BYTES };
        let is_name = (1..=NAME_BYTES).contains(&text.len()) && text.split('/').all(is_part);
        if !is_name || text.split('/').next() == Some(LOCKS) {
            return Err(wrong());
        }
        Path::parse(text).map(Self).map_err(|_not_path| wrong())
    }
}

/// No `.` and `..`, and no character that a kind would have to write in another way.
fn is_part(part: &str) -> bool {
    let is_known = |c: char| c.is_alphanumeric() || "-_.+=@,!'()$&:; ".contains(c);
    let is_plain = !part.starts_with(' ') && !part.ends_with(' ');
    (1..=PART_BYTES).contains(&part.len())
        && part != "."
        && part != ".."
        && is_plain
        && part.chars().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_its_place() {
        for wrong in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "../a",
            "a/.",
            "a\\b",
            "a\0",
            "a\n",
            "a#1",
            "a%2e",
            "a*",
            "a?",
            " a",
            "a ",
            "~a",
            ".updraft-locks/7",
        ] {
            BlobName::parse(wrong).unwrap_err();
        }
        BlobName::parse(&"a".repeat(201)).unwrap_err();
        BlobName::parse(&"a/".repeat(512)).unwrap_err();
        for right in
            ["a", "a/b.txt", "…a".trim_start_matches('…'), "ä/ß 1", "2026-01-01T00:00:00Z", "..a"]
        {
            assert_eq!(BlobName::parse(right).unwrap().0.as_ref(), right);
        }
    }
}
