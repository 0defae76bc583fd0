//! Files that are there whole or not at all, after a crash too.
//!
//! Everything is written to one draft first, which then gets its name. `rename` is atomic, and
//! durable once the folder is: the order of the two `fsync`s is what a power cut is about.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::error::StoreError;
use crate::layout::{FORMAT, Layout};
use crate::lock::WriteLock;

/// The longest file that is read.
pub(crate) const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A store that may be written to.
#[derive(Debug)]
pub(crate) struct Disk<'a> {
    pub(crate) layout: &'a Layout,
    _lock: WriteLock,
}

impl<'a> Disk<'a> {
    /// Makes the store if it is not there, waits for other writers, and removes the draft of
    /// one that was killed.
    pub(crate) fn open(layout: &'a Layout) -> Result<Self, StoreError> {
        check_format(layout)?;
        let root = &layout.root;
        make_root(root).map_err(StoreError::io("make", root))?;
        let disk = Self { layout, _lock: WriteLock::take(&layout.lock())? };
        disk.remove(&layout.draft())?;
        if !layout.format().exists() {
            disk.write(&layout.format(), FORMAT.as_bytes())?;
        }
        Ok(disk)
    }

    /// Gives `content` the name `target`, instead of what had it before.
    pub(crate) fn write(&self, target: &Path, content: &[u8]) -> Result<(), StoreError> {
        let draft = self.layout.draft();
        let failed = StoreError::io("write", target);
        self.write_through(&draft, target, content).map_err(failed)
    }

    fn write_through(&self, draft: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
        let folder = target.parent().unwrap_or(&self.layout.root);
        self.make_folder(folder)?;
        let mut options = File::options();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(draft, target)?;
        sync(folder)
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(&self.layout.root);
        self.make_folder(parent)?;
        DirBuilder::new().mode(0o700).create(folder)?;
        sync(parent)
    }

    /// Removes a file that may be there.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(StoreError::io("remove", path)),
        }
    }
}

/// Refuses a store that another version has made.
pub(crate) fn check_format(layout: &Layout) -> Result<(), StoreError> {
    let path = layout.format();
    match read(&path)? {
        Some(found) if found != FORMAT.as_bytes() => Err(StoreError::Format { path }),
        _ => Ok(()),
    }
}

/// The content of a file; `None`: there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(StoreError::io("read", path))?,
    };
    let mut content = Vec::new();
    let most = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let read = file.take(most.saturating_add(1)).read_to_end(&mut content);
    read.map_err(StoreError::io("read", path))?;
    if content.len() > FILE_BYTES_MAX {
        let what = path.display().to_string();
        return Err(StoreError::TooLarge { what, bytes_max: FILE_BYTES_MAX });
    }
    Ok(Some(content))
}

fn make_root(root: &Path) -> io::Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(root)?;
    root.parent().map_or(Ok(()), sync)
}

pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
