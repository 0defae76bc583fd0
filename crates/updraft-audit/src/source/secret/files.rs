//! The files in which secrets are looked for: the tracked ones, as Git lists them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use super::super::repository::Vcs;
use super::super::{Tree, git};

/// Larger files are data.
const SIZE_MAX: u64 = 1 << 20;

/// More is not read: a look takes seconds.
const BYTES_MAX: usize = 512 << 20;

/// A NUL in the first so many bytes: a binary file, as Git has it.
const BINARY_WITHIN: usize = 8000;

/// Folders that no walk enters: repositories, and what package managers put beside a program.
const NOT_WALKED: &[&str] =
    &[".git", ".hg", ".jj", ".sl", ".svn", "node_modules", ".venv", "venv", "__pycache__"];

/// How it is known which files there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The index of Git.
    Tracked,
    /// A walk through a working copy, as `.gitignore` has it.
    Walked,
    /// A walk through a folder without version control.
    Folder,
}

/// The files of a folder, read one after the other.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) folder: PathBuf,
    pub(super) origin: Origin,
    /// How many were read.
    pub(super) read: u32,
    /// How many are binary or too large.
    pub(super) skipped: u32,
    /// How many could not be read.
    pub(super) unread: u32,
    left: std::vec::IntoIter<PathBuf>,
    bytes: usize,
}

impl Files {
    /// The tracked files of a folder.
    pub(super) fn of(tree: &Tree) -> Self {
        let folder = tree.folder.clone();
        let (origin, left) = match &tree.repository {
            Some(repository) if repository.vcs == Vcs::Git => match tracked(&folder) {
                Some(paths) => (Origin::Tracked, paths),
                None => (Origin::Walked, walked(&folder)),
            },
            Some(_) => (Origin::Walked, walked(&folder)),
            None => (Origin::Folder, walked(&folder)),
        };
        let left = left.into_iter();
        Self { folder, origin, read: 0, skipped: 0, unread: 0, left, bytes: 0 }
    }

    /// The next text file: its path in the folder, and its bytes.
    pub(super) fn next_text(&mut self) -> Option<(String, Vec<u8>)> {
        loop {
            let path = self.left.next()?;
            if self.bytes > BYTES_MAX {
                self.unread = self.unread.saturating_add(1);
                continue;
            }
            match text(&self.folder.join(&path)) {
                Ok(Content::Text(text)) => {
                    self.bytes += text.len();
                    self.read = self.read.saturating_add(1);
                    return Some((path.to_string_lossy().into_owned(), text));
                }
                Ok(Content::Data) => self.skipped = self.skipped.saturating_add(1),
                Ok(Content::NoFile) => {}
                Err(_) => self.unread = self.unread.saturating_add(1),
            }
        }
    }
}

enum Content {
    Text(Vec<u8>),
    Data,
    /// A link, a submodule, or a file that is tracked and deleted.
    NoFile,
}

fn text(path: &Path) -> std::io::Result<Content> {
    let size = match path.symlink_metadata() {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Ok(Content::NoFile),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Content::NoFile),
        Err(error) => return Err(error),
    };
    if size > SIZE_MAX {
        return Ok(Content::Data);
    }
    let mut text = Vec::new();
    File::open(path)?.take(SIZE_MAX).read_to_end(&mut text)?;
    let is_binary = text.iter().take(BINARY_WITHIN).any(|byte| *byte == 0);
    Ok(if is_binary { Content::Data } else { Content::Text(text) })
}

/// `None`: Git could not be asked.
fn tracked(folder: &Path) -> Option<Vec<PathBuf>> {
    let Ok(names) = git::ask(folder, &["ls-files", "-z", "--", "."]) else { return None };
    let paths = names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(OsStr::from_bytes(name)))
        .collect();
    Some(paths)
}

fn walked(folder: &Path) -> Vec<PathBuf> {
    WalkBuilder::new(folder)
        .hidden(false)
        .require_git(false)
        .git_global(false)
        .follow_links(false)
        .filter_entry(|entry| !NOT_WALKED.iter().any(|name| entry.file_name() == *name))
        .build()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.path().strip_prefix(folder).map(Path::to_owned).ok())
        .collect()
}
