//! What a program has done to its folder.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// One file that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    /// Its path within the folder.
    pub(crate) path: PathBuf,
    pub(crate) how: How,
    /// Its first bytes, which tell its format, where it is a file still.
    pub(crate) begins: Vec<u8>,
    /// Whether it can be executed.
    pub(crate) is_executable: bool,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    Created,
    Changed,
    Removed,
}

/// So much is read of a file to know its format.
const BEGINS_BYTES: u64 = 16;
/// Files looked at in one folder; what writes more has been caught by then.
const FILES_MAX: usize = 20_000;

/// What the upper folder of an overlay says. A file in it with the same content as below was
/// only touched.
pub(super) fn of_overlay(upper: &Path, lower: &Path) -> io::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for path in files(upper, Path::new(""))? {
        let (now, before) = (upper.join(&path), lower.join(&path));
        let Ok(metadata) = fs::symlink_metadata(&now) else { continue };
        let how = if is_whiteout(&metadata) {
            How::Removed
        } else if fs::symlink_metadata(&before).is_err() {
            How::Created
        } else if same(&now, &before) {
            continue;
        } else {
            How::Changed
        };
        changes.push(Change::new(path, how, &now, &metadata));
    }
    changes.sort();
    Ok(changes)
}

/// How a plain copy differs from what it was copied from, the lab's own files in it apart.
pub(super) fn of_copy(copy: &Path, original: &Path, lab: &Path) -> io::Result<Vec<Change>> {
    let (now, before) = (files(copy, lab)?, files(original, lab)?);
    let mut changes = Vec::new();
    for path in now {
        let (file, was) = (copy.join(&path), original.join(&path));
        let Ok(metadata) = fs::symlink_metadata(&file) else { continue };
        let how = if fs::symlink_metadata(&was).is_err() { How::Created } else { How::Changed };
        if how == How::Created || !same(&file, &was) {
            changes.push(Change::new(path, how, &file, &metadata));
        }
    }
    let gone = before.into_iter().filter(|path| fs::symlink_metadata(copy.join(path)).is_err());
    changes.extend(gone.map(|path| Change {
        path,
        how: How::Removed,
        begins: Vec::new(),
        is_executable: false,
    }));
    changes.sort();
    Ok(changes)
}

impl Change {
    fn new(path: PathBuf, how: How, now: &Path, metadata: &Metadata) -> Self {
        let is_executable = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        let mut begins = Vec::new();
        if metadata.is_file()
            && let Ok(file) = File::open(now)
        {
            // What cannot be read has no known format.
            drop(file.take(BEGINS_BYTES).read_to_end(&mut begins));
        }
        Self { path, how, begins, is_executable }
    }
}

/// A removed file is a character device 0/0 in the upper folder
/// (`Documentation/filesystems/overlayfs.rst`).
fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// Everything in a folder that is none itself, by its path in it; without what is in `but`.
fn files(folder: &Path, but: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut left) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inside) = left.pop() {
        if folder.join(&inside) == but {
            continue;
        }
        let entries = match fs::read_dir(folder.join(&inside)) {
            Ok(entries) => entries,
            // Removed while it was looked at.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !found.is_empty() => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let path = inside.join(entry.file_name());
            match entry.file_type()?.is_dir() {
                true => left.push(path),
                false => found.push(path),
            }
            if found.len() > FILES_MAX {
                return Err(io::Error::other(format!("it has more than {FILES_MAX} files")));
            }
        }
    }
    Ok(found)
}

/// Whether two files, or links, have the same content.
fn same(one: &Path, other: &Path) -> bool {
    let kinds = (fs::symlink_metadata(one), fs::symlink_metadata(other));
    let (Ok(first), Ok(second)) = kinds else { return false };
    if first.is_symlink() || second.is_symlink() {
        return fs::read_link(one).ok().is_some_and(|to| fs::read_link(other).ok() == Some(to));
    }
    if !first.is_file() || !second.is_file() || first.len() != second.len() {
        return false;
    }
    let (Ok(mut a), Ok(mut b)) = (File::open(one), File::open(other)) else { return false };
    let (mut left, mut right) = ([0; 64 * 1024], [0; 64 * 1024]);
    loop {
        let (Ok(count), Ok(again)) = (fill(&mut a, &mut left), fill(&mut b, &mut right)) else {
            return false;
        };
        if left.get(..count) != right.get(..again) {
            return false;
        }
        if count == 0 {
            return true;
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_copy_differs_by_what_is_new_changed_and_gone_and_by_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (copy, original) = (folder.path().join("copy"), folder.path().join("original"));
        for (name, text) in [("same", "a"), ("sub/changed", "a"), ("gone", "a"), ("lab/t1", "a")] {
            write(&original, name, text);
        }
        for (name, text) in [("same", "a"), ("sub/changed", "b"), ("sub/new", "#!")] {
            write(&copy, name, text);
        }
        let changes = of_copy(&copy, &original, &original.join("lab")).unwrap();
        let seen: Vec<_> = changes.iter().map(|it| (it.path.to_str().unwrap(), it.how)).collect();
        let expected =
            [("gone", How::Removed), ("sub/changed", How::Changed), ("sub/new", How::Created)];
        assert_eq!(seen, expected);
        assert_eq!(changes[2].begins, b"#!");
    }

    #[test]
    fn a_file_that_an_overlay_has_copied_up_without_a_change_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (upper, lower) = (folder.path().join("upper"), folder.path().join("lower"));
        for name in ["touched", "changed"] {
            write(&lower, name, "a");
        }
        write(&upper, "touched", "a");
        write(&upper, "changed", "b");
        write(&upper, "new", "a");
        let changes = of_overlay(&upper, &lower).unwrap();
        let seen: Vec<_> = changes.iter().map(|it| (it.path.to_str().unwrap(), it.how)).collect();
        assert_eq!(seen, [("changed", How::Changed), ("new", How::Created)]);
    }
}
