//! What goes into a build, as one number: files by path, content and executable bit,
//! and words such as the compiler's version. Never a time, and no path outside the
//! manifest's folder but relative to it.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ignore::WalkBuilder;
use serde::{Deserialize, Serialize};

/// Identifies content: equal digests, equal content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest(String);

impl Digest {
    pub(super) fn of(hasher: &blake3::Hasher) -> Self {
        Self(hasher.finalize().to_hex().to_string())
    }

    /// As hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A file or folder that goes into a build could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}")]
pub struct InputError {
    path: String,
    #[source]
    source: io::Error,
}

/// Seconds and nanoseconds of the system's clock, by which file systems tell when a
/// file was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64, i64);

impl Moment {
    const FIRST: Self = Self(i64::MIN, 0);

    pub(super) fn now() -> Self {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(elapsed.as_secs().try_into().unwrap_or(i64::MAX), elapsed.subsec_nanos().into())
    }
}

/// The inputs of a build, taken one after another.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    hasher: blake3::Hasher,
    base: &'a Path,
    last_change: Moment,
    overlooked: Option<PathBuf>,
}

impl<'a> Inputs<'a> {
    /// `kind` tells builds of different methods apart.
    pub(super) fn new(kind: &str, base: &'a Path) -> Self {
        let mut inputs = Self {
            hasher: blake3::Hasher::new(),
            base,
            last_change: Moment::FIRST,
            overlooked: None,
        };
        inputs.word("build", kind.as_bytes());
        inputs
    }

    pub(super) fn word(&mut self, label: &str, value: &[u8]) {
        self.entry(label.as_bytes(), b'w', &[], value);
    }

    /// A file under a name that does not depend on where it is.
    pub(super) fn named_file(&mut self, label: &str, path: &Path) -> Result<(), InputError> {
        self.entry_of_file(label.as_bytes(), path)
    }

    /// A file, a folder with all in it, or the fact that there is neither.
    pub(super) fn path(&mut self, path: &Path) -> Result<(), InputError> {
        if path.is_dir() {
            return self.folder(path, &[]);
        }
        let label = relative(self.base, path);
        self.entry_of_file(label.as_os_str().as_bytes(), path)
    }

    /// The files of a folder that Git does not ignore, except for `leave_out`, folders
    /// that say they are caches (each Cargo target folder does), and Git's own.
    pub(super) fn folder(
        &mut self,
        folder: &Path,
        leave_out: &[PathBuf],
    ) -> Result<(), InputError> {
        for path in sources(folder, leave_out) {
            let path = path?;
            let label = relative(self.base, &path);
            self.entry_of_file(label.as_os_str().as_bytes(), &path)?;
        }
        Ok(())
    }

    /// From now on it does not matter when this file was changed; its content does.
    pub(super) fn overlook_change_of(&mut self, path: PathBuf) {
        self.overlooked = Some(path);
    }

    /// Whether something taken so far was changed at or after `moment`.
    pub(super) fn changed_since(&self, moment: Moment) -> bool {
        self.last_change >= moment
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.hasher)
    }

    fn entry_of_file(&mut self, label: &[u8], path: &Path) -> Result<(), InputError> {
        let unreadable = |source| InputError { path: path.display().to_string(), source };
        let Some(metadata) = absent_as_none(fs::symlink_metadata(path)).map_err(unreadable)? else {
            self.entry(label, b'-', &[], &[]);
            return Ok(());
        };
        self.note_change(path, &metadata);
        if !metadata.is_symlink() {
            return self.entry_of_content(label, &[], path, &metadata).map_err(unreadable);
        }
        // A link is where it points to and what is there now.
        let target = fs::read_link(path).map_err(unreadable)?;
        let target = target.as_os_str().as_bytes();
        match absent_as_none(fs::metadata(path)).map_err(unreadable)? {
            Some(metadata) => {
                self.note_change(path, &metadata);
                self.entry_of_content(label, target, path, &metadata).map_err(unreadable)
            }
            None => {
                self.entry(label, b'l', target, &[]);
                Ok(())
            }
        }
    }

    fn entry_of_content(
        &mut self,
        label: &[u8],
        link: &[u8],
        path: &Path,
        metadata: &Metadata,
    ) -> io::Result<()> {
        if !metadata.is_file() {
            // A socket or pipe has no content, and opening it could wait for ever.
            self.entry(label, b'o', link, &[]);
            return Ok(());
        }
        let mut content = blake3::Hasher::new();
        content.update_reader(File::open(path)?)?;
        let executable = metadata.permissions().mode() & 0o111 != 0;
        let kind = if executable { b'x' } else { b'f' };
        self.entry(label, kind, link, content.finalize().as_bytes());
        Ok(())
    }

    fn note_change(&mut self, path: &Path, metadata: &Metadata) {
        if self.overlooked.as_deref() != Some(path) {
            let changed = Moment(metadata.ctime(), metadata.ctime_nsec());
            self.last_change = self.last_change.max(changed);
        }
    }

    /// Each part with its length before it, so that no two lists of entries read alike.
    fn entry(&mut self, label: &[u8], kind: u8, link: &[u8], content: &[u8]) {
        self.hasher.update(&[kind]);
        for part in [label, link, content] {
            self.hasher.update(&(part.len() as u64).to_le_bytes());
            self.hasher.update(part);
        }
    }
}

/// The files of a folder that Git does not ignore, in the order of their paths, except for
/// `leave_out`, folders that say they are caches, and Git's own.
pub(crate) fn sources(
    folder: &Path,
    leave_out: &[PathBuf],
) -> impl Iterator<Item = Result<PathBuf, InputError>> {
    let leave_out = leave_out.to_vec();
    let wanted = move |path: &Path| {
        path.file_name().is_none_or(|name| name != ".git")
            && !path.join("CACHEDIR.TAG").is_file()
            && !leave_out.iter().any(|left| path.starts_with(left))
    };
    let walk = WalkBuilder::new(folder)
        .hidden(false)
        .ignore(false)
        .require_git(false)
        // What one user ignores everywhere is no property of the sources.
        .git_global(false)
        .sort_by_file_path(|one, other| one.cmp(other))
        .filter_entry(move |entry| entry.depth() == 0 || wanted(entry.path()))
        .build();
    let folder = folder.display().to_string();
    walk.filter_map(move |entry| match entry {
        Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => None,
        Ok(entry) => Some(Ok(entry.into_path())),
        Err(problem) => {
            let text = problem.to_string();
            let source = problem.into_io_error().unwrap_or_else(|| io::Error::other(text));
            Some(Err(InputError { path: folder.clone(), source }))
        }
    })
}

fn absent_as_none<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(problem)
            if matches!(problem.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(problem) => Err(problem),
    }
}

/// `path` as seen from the folder `base`; both absolute and without `..`.
fn relative(base: &Path, path: &Path) -> PathBuf {
    let mut base = base.components().peekable();
    let mut path = path.components().peekable();
    while base.peek().is_some() && base.peek() == path.peek() {
        base.next();
        path.next();
    }
    base.map(|_| Component::ParentDir).chain(path).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn digest(folder: &Path) -> Digest {
        let mut inputs = Inputs::new("test", folder);
        inputs.folder(folder, &[folder.join("out")]).unwrap();
        inputs.digest()
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn content_names_and_modes_decide_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        write(&at("src/a.txt"), "a");
        write(&at(".hidden"), "h");
        write(&at(".gitignore"), "ignored.txt\n");
        let mut last = digest(folder.path());

        let nothing: [&dyn Fn(); 6] = [
            &|| write(&at("src/a.txt"), "a"),
            &|| write(&at("ignored.txt"), "i"),
            &|| write(&at("out/made.txt"), "m"),
            &|| write(&at(".git/HEAD"), "g"),
            &|| write(&at("cache/CACHEDIR.TAG"), ""),
            &|| fs::create_dir_all(at("empty/folder")).unwrap(),
        ];
        for (number, change) in nothing.into_iter().enumerate() {
            change();
            assert_eq!(digest(folder.path()), last, "change {number} should not count");
        }
        let something: [&dyn Fn(); 7] = [
            &|| write(&at("src/a.txt"), "b"),
            &|| write(&at("src/new.txt"), ""),
            &|| fs::rename(at("src/new.txt"), at("src/other.txt")).unwrap(),
            &|| write(&at(".hidden"), "i"),
            &|| fs::set_permissions(at("src/a.txt"), fs::Permissions::from_mode(0o755)).unwrap(),
            &|| symlink("src/a.txt", at("link")).unwrap(),
            &|| fs::remove_file(at("src/other.txt")).unwrap(),
        ];
        for (number, change) in something.into_iter().enumerate() {
            change();
            let now = digest(folder.path());
            assert_ne!(now, last, "change {number} should count");
            last = now;
        }
    }

    #[test]
    fn equal_folders_at_different_places_have_equal_digests() {
        let digest_of_new = || {
            let folder = tempfile::tempdir().unwrap();
            write(&folder.path().join("b/c"), "1");
            write(&folder.path().join("a"), "2");
            digest(folder.path())
        };
        assert_eq!(digest_of_new(), digest_of_new());
    }

    #[test]
    fn a_pipe_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status();
        assert!(made.unwrap().success());
        digest(folder.path());
    }

    #[test]
    fn paths_are_relative_to_the_manifest() {
        for (base, path, expected) in
            [("/a/b", "/a/b/c", "c"), ("/a/b", "/a/x/y", "../x/y"), ("/a", "/a", "")]
        {
            assert_eq!(relative(Path::new(base), Path::new(path)), Path::new(expected));
        }
    }
}
