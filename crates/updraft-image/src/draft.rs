//! Files that become blobs: written under a name of their own, renamed once their digest is known.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::{Descriptor, Digest, Digesting, LayoutError};

const NAME: &str = "draft-";

/// The most drafts of one process in one layout at once.
const DRAFTS_MOST: u32 = 10_000;

/// A draft that nobody wrote to for so long is nobody's.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A blob that is being written. Unless it is kept it leaves nothing.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
    blobs: PathBuf,
    digesting: Digesting,
    size: u64,
}

impl Draft {
    pub(crate) fn begin(folder: &Path, blobs: PathBuf) -> io::Result<Self> {
        let (file, path) = create(folder)?;
        Ok(Self { file, path, blobs, digesting: Digesting::default(), size: 0 })
    }

    /// The bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes it the blob that it is; after a crash there is the whole blob or none.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when it cannot be written.
    pub fn keep(mut self, media_type: &str) -> Result<Descriptor, LayoutError> {
        let digest = std::mem::take(&mut self.digesting).finish();
        let path = self.blobs.join(digest.hex());
        let write = || {
            self.file.sync_all()?;
            fs::rename(&self.path, &path)
        };
        write().map_err(|source| LayoutError::File {
            action: "write",
            path: path.clone(),
            source,
        })?;
        Ok(Descriptor::new(media_type, digest, self.size))
    }

    /// Makes it the blob of `digest`, or nothing when it is not.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Corrupt`], and when it cannot be written.
    pub fn keep_as(self, media_type: &str, digest: &Digest) -> Result<Descriptor, LayoutError> {
        if self.digesting.clone().finish() != *digest {
            return Err(LayoutError::Corrupt(self.path.clone()));
        }
        self.keep(media_type)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digesting.update(bytes.get(..written).unwrap_or(bytes));
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A draft that was renamed is not there any more, and one that is not is of no use.
impl Drop for Draft {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

fn is_old(modified: SystemTime) -> bool {
    modified.elapsed().is_ok_and(|age| age > ABANDONED)
}

/// A new file that no other thread or process has.
pub(crate) fn create(folder: &Path) -> io::Result<(File, PathBuf)> {
    let process = std::process::id();
    for number in 0..DRAFTS_MOST {
        let path = folder.join(format!("{NAME}{process}-{number}"));
        match File::create_new(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many drafts of one process"))
}

/// Removes drafts of processes that are gone. The process of a fresh one may be one that this
/// one cannot see, in another container.
pub(crate) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let draft = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split_once('-'));
        if let Some((process, _)) = draft
            && process.parse::<u32>().is_ok_and(|it| !Path::new(&format!("/proc/{it}")).exists())
            && entry.metadata().and_then(|it| it.modified()).is_ok_and(is_old)
        {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn drafts_of_the_dead_are_removed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - 2 * ABANDONED;
        let (live, dead) = (std::process::id(), u32::MAX);
        for (name, modified) in [
            (format!("draft-{live}-0"), old),
            (format!("draft-{dead}-0"), old),
            (format!("draft-{dead}-1"), SystemTime::now()),
            (format!("draft-{dead}-abcDEF"), old),
            ("draft-of-a-letter".to_owned(), old),
        ] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(modified).unwrap();
        }
        let layout = Layout::create(folder.path()).unwrap();
        let names = || -> Vec<String> {
            let entries = fs::read_dir(layout.folder()).unwrap().map(|it| it.unwrap().file_name());
            let names = entries.map(|name| name.into_string().unwrap());
            let mut names: Vec<_> = names.filter(|name| name.starts_with("draft")).collect();
            names.sort();
            names
        };
        let kept =
            [format!("draft-{live}-0"), format!("draft-{dead}-1"), "draft-of-a-letter".to_owned()];
        let mut kept = kept.to_vec();
        kept.sort();
        assert_eq!(names(), kept);
        // The next draft takes a name that is free, and leaves nothing when it is dropped.
        let mut draft = layout.draft().unwrap();
        draft.write_all(b"half").unwrap();
        assert_eq!(names().len(), 4);
        drop(draft);
        assert_eq!(names(), kept);
    }
}
