//! From an image in a layout to a folder with its files.
//!
//! Archives of others are followed as if the folder were the root: a link in one layer leads a
//! later one to where it leads inside of the folder, and never out of it.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use crate::layer::Entries;
use crate::tar::{Entry, Kind};
use crate::{ImageError, LayerError, StoredImage};

/// The most links that lead to one file, as Linux follows.
const LINKS_MOST: usize = 40;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// How an image is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackOptions {
    /// The most bytes of all files together. The default is 16 GiB.
    pub bytes_most: u64,
}

/// An image cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The folder is there already.
    #[error("{} is there already: unpack into a new folder", .0.display())]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A layer would write where it may not.
    #[error("the image has an entry `{path}` that cannot be unpacked: {why}")]
    Hostile {
        /// As the archive has it.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Its files are larger than allowed.
    #[error("the image holds more than {0} bytes")]
    TooLarge(u64),
}

impl Default for UnpackOptions {
    fn default() -> Self {
        Self { bytes_most: 16 << 30 }
    }
}

impl StoredImage {
    /// Unpacks all layers into `folder`, which must not be there; on failure it is not there.
    ///
    /// Files get the image's modes, without set-user and set-group bits, and belong to
    /// whoever unpacks. Times, extended attributes and devices are left out. Whiteouts of
    /// upper layers take away what lower ones have. Every layer is checked against its digests.
    ///
    /// # Errors
    ///
    /// [`UnpackError`] when the image is damaged, leads out of the folder, is too large, or
    /// the folder cannot be written.
    pub fn unpack(&self, folder: &Path, options: UnpackOptions) -> Result<(), UnpackError> {
        if fs::symlink_metadata(folder).is_ok() {
            return Err(UnpackError::Exists(folder.to_owned()));
        }
        let name = folder.file_name().unwrap_or(OsStr::new("image"));
        let mut draft = name.to_owned();
        draft.push(format!(".draft-{}", std::process::id()));
        let draft = folder.with_file_name(draft);
        fs::create_dir(&draft).map_err(unwritable(&draft))?;
        let unpacked = self.unpack_layers(&draft, options);
        let moved = unpacked.and_then(|()| fs::rename(&draft, folder).map_err(unwritable(folder)));
        moved.inspect_err(|_| drop(fs::remove_dir_all(&draft)))
    }

    fn unpack_layers(&self, root: &Path, options: UnpackOptions) -> Result<(), UnpackError> {
        let root = fs::canonicalize(root).map_err(unwritable(root))?;
        let mut unpacking = Unpacking {
            root,
            left: options.bytes_most,
            most: options.bytes_most,
            modes: BTreeMap::new(),
        };
        for (blob, diff_id) in self.layers() {
            let entries = Entries::open(self.layout(), blob, diff_id).map_err(ImageError::from)?;
            unpacking.layer(entries)?;
        }
        unpacking.finish()
    }
}

struct Unpacking {
    root: PathBuf,
    left: u64,
    most: u64,
    /// Modes of folders, set last: one that cannot be written could not be filled.
    modes: BTreeMap<PathBuf, u32>,
}

impl Unpacking {
    fn layer(&mut self, mut entries: Entries) -> Result<(), UnpackError> {
        let failed = |error: LayerError| UnpackError::Image(error.into());
        // What this layer made is not taken away by its own whiteouts.
        let mut made = HashSet::new();
        while let Some(entry) = entries.next().map_err(failed)? {
            let Some((parent, name)) = self.place(&entry)? else { continue };
            if name == OPAQUE {
                self.clear(&parent, &made)?;
                continue;
            }
            if let Some(hidden) = name.strip_prefix(WHITEOUT) {
                let hidden = parent.join(OsStr::from_bytes(check_name(&entry, hidden)?));
                if !made.contains(&hidden) {
                    self.remove(&hidden)?;
                }
                continue;
            }
            let path = parent.join(OsStr::from_bytes(&name));
            self.entry(&entry, &path, &mut entries)?;
            let mut above = Some(path.as_path());
            while let Some(folder) = above.filter(|it| *it != self.root) {
                if !made.insert(folder.to_owned()) {
                    break;
                }
                above = folder.parent();
            }
        }
        entries.finish().map_err(failed)
    }

    fn entry(
        &mut self,
        entry: &Entry,
        path: &Path,
        entries: &mut Entries,
    ) -> Result<(), UnpackError> {
        let is_folder = fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
        if !(is_folder && entry.kind == Kind::Folder) {
            self.remove(path)?;
        }
        match entry.kind {
            Kind::Folder => {
                if !is_folder {
                    fs::create_dir(path).map_err(unwritable(path))?;
                }
                self.modes.insert(path.to_owned(), entry.mode & 0o1777);
                Ok(())
            }
            Kind::File => self.file(entry, path, entries),
            Kind::Symlink => {
                symlink(OsStr::from_bytes(&entry.link), path).map_err(unwritable(path))
            }
            Kind::HardLink => {
                let (parent, name) = self
                    .inside(entry, &entry.link)?
                    .ok_or_else(|| hostile(entry, "it is a second name of the root folder"))?;
                let target = parent.join(OsStr::from_bytes(&name));
                fs::hard_link(&target, path).map_err(unwritable(path))
            }
            Kind::CharacterDevice | Kind::BlockDevice | Kind::Fifo => Ok(()),
        }
    }

    fn file(
        &mut self,
        entry: &Entry,
        path: &Path,
        entries: &mut Entries,
    ) -> Result<(), UnpackError> {
        if entry.size > self.left {
            return Err(UnpackError::TooLarge(self.most));
        }
        self.left -= entry.size;
        let mut file = File::create_new(path).map_err(unwritable(path))?;
        let mut piece = vec![0; 64 * 1024];
        loop {
            let read = match entries.content().read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(UnpackError::Image(entries.unreadable(error).into())),
            };
            let piece = piece.get(..read).unwrap_or_default();
            io::Write::write_all(&mut file, piece).map_err(unwritable(path))?;
        }
        let mode = Permissions::from_mode(entry.mode & 0o777);
        file.set_permissions(mode).map_err(unwritable(path))
    }

    /// Everything of lower layers in a folder goes.
    fn clear(&mut self, folder: &Path, made: &HashSet<PathBuf>) -> Result<(), UnpackError> {
        for child in fs::read_dir(folder).map_err(unwritable(folder))? {
            let child = child.map_err(unwritable(folder))?.path();
            if !made.contains(&child) {
                self.remove(&child)?;
            } else if fs::symlink_metadata(&child).is_ok_and(|it| it.is_dir()) {
                self.clear(&child, made)?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<(), UnpackError> {
        let removed = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => Err(error),
            Ok(metadata) if metadata.is_dir() => {
                self.modes.retain(|known, _| !known.starts_with(path));
                fs::remove_dir_all(path)
            }
            Ok(_) => fs::remove_file(path),
        };
        removed.map_err(unwritable(path))
    }

    fn place(&self, entry: &Entry) -> Result<Option<(PathBuf, Vec<u8>)>, UnpackError> {
        self.inside(entry, &entry.path)
    }

    /// The folder inside of the root that `path` is in, and its name there. Folders that are
    /// not there are made; links are followed as if the root were `/`. `None` is the root.
    fn inside(
        &self,
        entry: &Entry,
        path: &[u8],
    ) -> Result<Option<(PathBuf, Vec<u8>)>, UnpackError> {
        let path = Path::new(OsStr::from_bytes(path));
        let mut names = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => names.push(name.to_owned()),
                Component::CurDir | Component::RootDir => {}
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(hostile(entry, "its path leads upwards"));
                }
            }
        }
        let Some(name) = names.pop() else { return Ok(None) };
        let mut links = 0;
        let mut folder = self.root.clone();
        // The next part comes last.
        let mut parts: Vec<_> = names.into_iter().rev().collect();
        while let Some(part) = parts.pop() {
            if part == ".." {
                if folder != self.root {
                    folder.pop();
                }
                continue;
            }
            let next = folder.join(&part);
            match fs::symlink_metadata(&next) {
                Ok(metadata) if metadata.is_dir() => folder = next,
                Ok(metadata) if metadata.is_symlink() => {
                    links += 1;
                    if links > LINKS_MOST {
                        return Err(hostile(entry, "too many links lead to it"));
                    }
                    let target = fs::read_link(&next).map_err(unwritable(&next))?;
                    if target.is_absolute() {
                        folder.clone_from(&self.root);
                    }
                    let named = target.components().rev().filter_map(|part| match part {
                        Component::Normal(name) => Some(name.to_owned()),
                        Component::ParentDir => Some("..".into()),
                        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
                    });
                    parts.extend(named);
                }
                Ok(_) => return Err(hostile(entry, "it is in something that is no folder")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir(&next).map_err(unwritable(&next))?;
                    folder = next;
                }
                Err(error) => return Err(unwritable(&next)(error)),
            }
        }
        Ok(Some((folder, name.as_bytes().to_vec())))
    }

    fn finish(self) -> Result<(), UnpackError> {
        // What is inside comes first; a folder that a later layer took away or replaced is passed over.
        for (path, mode) in self.modes.iter().rev() {
            if fs::symlink_metadata(path).is_ok_and(|it| it.is_dir()) {
                fs::set_permissions(path, Permissions::from_mode(*mode))
                    .map_err(unwritable(path))?;
            }
        }
        Ok(())
    }
}

fn check_name<'a>(entry: &Entry, hidden: &'a [u8]) -> Result<&'a [u8], UnpackError> {
    match hidden {
        b"" | b"." | b".." => Err(hostile(entry, "it takes away no file")),
        _ if hidden.starts_with(WHITEOUT) => Err(hostile(entry, "it is an unknown whiteout")),
        _ => Ok(hidden),
    }
}

fn hostile(entry: &Entry, why: &'static str) -> UnpackError {
    UnpackError::Hostile { path: String::from_utf8_lossy(&entry.path).into_owned(), why }
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> UnpackError + '_ {
    move |source| UnpackError::Write { path: path.to_owned(), source }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
