//! The machine that libraries are taken from: files below a root, with links followed as they
//! are followed there.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// The most links that lead to one file, as Linux follows.
const LINKS_MOST: usize = 40;

/// A machine, or a folder that looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    root: PathBuf,
}

/// A file of a host, and the links that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Without links, with a leading slash.
    pub(super) path: String,
    /// Each link's own path without links, and where it leads.
    pub(super) links: Vec<(String, String)>,
}

impl Host {
    /// This machine.
    pub fn this() -> Self {
        Self::below(Path::new("/"))
    }

    /// What is below `root`, as if that were `/`.
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where a path of the host is on this machine.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The path on the host of a file of this machine; `None` where it is not below the root.
    pub(super) fn path_of(&self, file: &Path) -> Option<String> {
        Some(format!("/{}", file.strip_prefix(&self.root).ok()?.to_str()?))
    }

    /// Follows `path` to a file that is there. `None` where there is none.
    pub(super) fn find(&self, path: &str) -> io::Result<Option<Found>> {
        let mut links = Vec::new();
        let mut reached = String::new();
        let mut parts: Vec<String> = split(path);
        while let Some(part) = parts.pop() {
            if part == ".." {
                reached.truncate(reached.rfind('/').unwrap_or_default());
                continue;
            }
            let next = format!("{reached}/{part}");
            let metadata = match fs::symlink_metadata(self.at(&next)) {
                Ok(metadata) => metadata,
                Err(error) if is_absence(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            if !metadata.is_symlink() {
                reached = next;
                continue;
            }
            if links.len() == LINKS_MOST {
                return Err(io::Error::other("too many links lead to it"));
            }
            let target = fs::read_link(self.at(&next))?;
            let Some(target) = target.to_str() else {
                return Err(io::Error::other("a link to it is not UTF-8"));
            };
            if target.starts_with('/') {
                reached.clear();
            }
            parts.extend(split(target));
            links.push((next, target.to_owned()));
        }
        let is_file = fs::metadata(self.at(&reached)).is_ok_and(|it| it.is_file());
        Ok(is_file.then_some(Found { path: reached, links }))
    }

    /// A file of at most `most` bytes; `None` where there is none.
    pub(super) fn read(&self, path: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(found) = self.find(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let file = fs::File::open(self.at(&found.path))?;
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            let why = format!("it has more than {most} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(Some(bytes))
    }
}

/// The parts of a path, the first one last.
fn split(path: &str) -> Vec<String> {
    let parts = Path::new(path).components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_str()?.to_owned()),
        Component::ParentDir => Some("..".to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    parts.collect()
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
