//! Files that we write and others may edit: each carries a hash of itself, so that an edit
//! is seen and never overwritten.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use similar::TextDiff;
use updraft_image::Digest;

use crate::failure::Failure;

/// What stands before the hash; `#` begins a comment in YAML and in unit files.
const SEAL: &str = "# updraft: ";
/// Most that is read of a file that may be one of ours.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Lines shown around a difference.
const CONTEXT: usize = 3;

/// What is at the place of a generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Absent,
    /// A file as we have written it.
    Ours(String),
    /// A file that we have written, and somebody has edited.
    Edited(String),
    /// Somebody else's file.
    Foreign,
}

/// `body` below a comment of one line, `about`, and the hash of both.
pub(crate) fn sealed(about: &str, body: &str) -> String {
    let about = format!("# {about}");
    format!("{about}\n{SEAL}{}\n{body}", hash(&about, body))
}

fn hash(about: &str, body: &str) -> Digest {
    Digest::of(format!("{about}\n{body}").as_bytes())
}

impl Found {
    /// Looks at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
            Ok(_) => Ok(String::from_utf8(bytes).map_or(Self::Foreign, Self::of)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Absent),
            Err(error) => Err(error),
        }
    }

    fn of(text: String) -> Self {
        let mut lines = text.splitn(3, '\n');
        let (about, seal) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let body = lines.next().unwrap_or_default();
        // An editor of Windows is one that edits.
        let Some(seal) = seal.trim_end().strip_prefix(SEAL) else { return Self::Foreign };
        if seal == hash(about, body).as_str() { Self::Ours(text) } else { Self::Edited(text) }
    }

    /// Whether the file at `path` may be replaced.
    ///
    /// # Errors
    ///
    /// A file that is not ours, or not as we have written it; `instead` says what to do.
    pub(crate) fn replaceable(&self, path: &Path, instead: &str) -> Result<(), Failure> {
        let path = path.display();
        match self {
            Self::Absent | Self::Ours(_) => Ok(()),
            Self::Edited(_) => Err(Failure::usage(format!(
                "{path} was edited by hand, and is not overwritten: its hash is not that of its text"
            ))
            .help(instead)),
            Self::Foreign => Err(Failure::usage(format!(
                "{path} is there, was not written by updraft, and is not overwritten"
            ))
            .help(instead)),
        }
    }
}

/// Replaces the file at `path` whole, and makes the folders above it.
///
/// # Errors
///
/// [`Failure`] of the environment.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    replace(path, text).map_err(|error| {
        Failure::environment(format!("cannot write {}", path.display())).because(&error)
    })
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = draft_of(path);
    let mut file = File::create(&draft)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written
        .and_then(|()| fs::rename(&draft, path))
        .inspect_err(|_| drop(fs::remove_file(&draft)))?;
    File::open(folder)?.sync_all()
}

fn draft_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.draft"))
}

/// What has to change in `old`, called `name`, to become `new`: a unified diff.
pub(crate) fn difference(name: &str, old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let (before, after) = (format!("{name} (now)"), format!("{name} (generated)"));
    diff.unified_diff().context_radius(CONTEXT).header(&before, &after).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_edit_is_seen() {
        let text = sealed("Written by a test.", "one: 1\ntwo: 2\n");
        assert_eq!(Found::of(text.clone()), Found::Ours(text.clone()));
        let mut seen = [0, 0];
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            match Found::of(String::from_utf8(bytes).unwrap()) {
                Found::Edited(_) => seen[0] += 1,
                Found::Foreign => seen[1] += 1,
                other => panic!("{at}: {other:?}"),
            }
        }
        // What is not sealed any more is somebody else's.
        assert_eq!(seen[1], SEAL.len() + 1, "{seen:?}");
        for edited in [text.replace('\n', "\r\n"), format!("{text}\n"), text.replace("2\n", "2")] {
            assert_eq!(Found::of(edited.clone()), Found::Edited(edited));
        }
        assert_eq!(Found::of(String::new()), Found::Foreign);
    }

    #[test]
    fn only_what_is_ours_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/file.yml");
        let look = || Found::at(&path).unwrap();
        assert_eq!(look(), Found::Absent);
        let text = sealed("Written by a test.", "one: 1\n");
        write(&path, &text).unwrap();
        assert!(look().replaceable(&path, "").is_ok());
        for foreign in ["one: 1\n".to_owned(), text.replace('1', "2")] {
            write(&path, &foreign).unwrap();
            assert!(look().replaceable(&path, "move it away").is_err(), "{foreign}");
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_difference_shows_lines_and_names_the_file() {
        let shown = difference("ci.yml", "a\nb\nc\n", "a\nB\nc\n");
        assert_eq!(
            shown,
            "--- ci.yml (now)\n+++ ci.yml (generated)\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
        );
    }
}
