//! What a layer holds: paths of the image, and for each what is there.
//!
//! A tree knows content, whether a file is a program, and nothing else of the files it is made
//! from: no time, no owner, no path of the machine. So equal content gives equal layers.

use std::collections::BTreeMap;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most entries of a tree.
const ENTRIES_MOST: usize = 1_000_000;

/// The deepest folder that is read.
const DEPTH_MOST: usize = 128;

/// The longest path in an image, in bytes, as Linux has it.
const PATH_MOST: usize = 4095;

/// Names that begin so mean in a layer that something of a lower one is not there.
const WHITEOUT: &str = ".wh.";

const FOLDER: u32 = 0o755;
const PROGRAM: u32 = 0o755;
const PLAIN: u32 = 0o644;
const LINK: u32 = 0o777;

/// Who owns a file of an image. The default is root, which nobody in the image is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// Files, folders and symbolic links by their paths in the image.
///
/// Paths are written with or without a leading slash. Folders above an entry need not be
/// added. What is added at a path replaces what was there.
///
/// ```
/// use updraft_image::Tree;
///
/// let mut tree = Tree::default();
/// tree.add_bytes("/app/greeting", "hello", false)?;
/// tree.add_link("/app/latest", "greeting")?;
/// assert!(tree.contains("app/latest"));
/// # Ok::<(), updraft_image::TreeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<String, Node>,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) what: What,
    pub(crate) mode: u32,
    pub(crate) owner: Owner,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Folder,
    File { content: Content, size: u64 },
    Link { target: String },
}

/// Where the bytes of a file come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Bytes(Arc<[u8]>),
    Host(PathBuf),
}

/// Something cannot be in an image.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A file of this machine cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Images hold files, folders and symbolic links.
    #[error(
        "{} is a {kind}, and an image holds files, folders and links alone: leave it out",
        path.display()
    )]
    Kind {
        /// On this machine.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A path in an image is not one.
    #[error("`{path}` cannot be a path in an image: {why}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A name or the target of a link is not UTF-8, which archives are.
    #[error("{} has a name or target that is not UTF-8: rename it", .0.display())]
    NotUtf8(PathBuf),
    /// Something is to be in a folder that is none.
    #[error("`{path}` cannot be added: `{parent}` is no folder")]
    Below {
        /// What was to be added.
        path: String,
        /// What is in the way.
        parent: String,
    },
    /// There is a folder with something in it where something else is to be.
    #[error("`{0}` is a folder with files in it and cannot become something else")]
    Folder(String),
    /// A link names the place of the tree on this machine.
    #[error(
        "the link {} leads to {target}, by a path of this machine that the image has not: make it relative",
        path.display()
    )]
    MachinePath {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: String,
    },
    /// More than a layer can be expected to hold.
    #[error("{}: more than {limit} {what}", path.display())]
    TooMuch {
        /// Where it was too much.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

impl Tree {
    /// Takes a file, a link, or a folder with all in it from this machine to `at`.
    ///
    /// A file is a program (0755) when any of its executable bits is set, else plain (0644).
    /// Links are taken as they are. A file with several names is several files.
    ///
    /// # Errors
    ///
    /// [`TreeError`]: unreadable, a device, socket or pipe, a name that no image can have.
    pub fn add_host(&mut self, from: &Path, at: &str) -> Result<(), TreeError> {
        let root = std::path::absolute(from).map_err(unreadable(from))?;
        let mut open = vec![(root.clone(), at.to_owned(), 0)];
        while let Some((path, at, depth)) = open.pop() {
            let metadata = fs::symlink_metadata(&path).map_err(unreadable(&path))?;
            if !metadata.is_dir() {
                self.add_leaf(&root, &path, &metadata, &at)?;
                continue;
            }
            if depth == DEPTH_MOST {
                return Err(TreeError::TooMuch { path, what: "folders deep", limit: DEPTH_MOST });
            }
            if !normal(&at)?.is_empty() {
                self.add_folder(&at, FOLDER, Owner::default())?;
            }
            for entry in fs::read_dir(&path).map_err(unreadable(&path))? {
                let entry = entry.map_err(unreadable(&path))?;
                let Ok(name) = entry.file_name().into_string() else {
                    return Err(TreeError::NotUtf8(entry.path()));
                };
                if open.len() > ENTRIES_MOST {
                    return Err(too_many(&path));
                }
                open.push((entry.path(), format!("{at}/{name}"), depth + 1));
            }
        }
        Ok(())
    }

    fn add_leaf(
        &mut self,
        root: &Path,
        path: &Path,
        metadata: &Metadata,
        at: &str,
    ) -> Result<(), TreeError> {
        let kind = metadata.file_type();
        if kind.is_file() {
            let executable = metadata.permissions().mode() & 0o111 != 0;
            let content = Content::Host(path.to_owned());
            return self.add_file(at, content, metadata.len(), executable);
        }
        if !kind.is_symlink() {
            return Err(TreeError::Kind { path: path.to_owned(), kind: name_of(kind) });
        }
        let target = fs::read_link(path).map_err(unreadable(path))?;
        let leads_home = root != path && target.is_absolute() && target.starts_with(root);
        let Some(target) = target.to_str() else {
            return Err(TreeError::NotUtf8(path.to_owned()));
        };
        if leads_home {
            return Err(TreeError::MachinePath {
                path: path.to_owned(),
                target: target.to_owned(),
            });
        }
        self.add_link(at, target)
    }

    /// A file of these bytes.
    ///
    /// # Errors
    ///
    /// [`TreeError`] when there can be no file at that path.
    pub fn add_bytes(
        &mut self,
        at: &str,
        bytes: impl AsRef<[u8]>,
        executable: bool,
    ) -> Result<(), TreeError> {
        let bytes = bytes.as_ref();
        self.add_file(at, Content::Bytes(bytes.into()), bytes.len() as u64, executable)
    }

    /// A symbolic link; `target` is taken as it is.
    ///
    /// # Errors
    ///
    /// [`TreeError`] when there can be no link at that path.
    pub fn add_link(&mut self, at: &str, target: &str) -> Result<(), TreeError> {
        if target.is_empty() || target.len() > PATH_MOST || target.contains('\0') {
            let why = "the target of a link is empty, too long, or has a zero byte";
            return Err(TreeError::Path { path: at.to_owned(), why });
        }
        let what = What::Link { target: target.to_owned() };
        self.add(at, Node { what, mode: LINK, owner: Owner::default() })
    }

    /// A folder with its own mode (such as `0o1777`) and owner, empty or not.
    ///
    /// # Errors
    ///
    /// [`TreeError`] when there can be no folder at that path.
    pub fn add_folder(&mut self, at: &str, mode: u32, owner: Owner) -> Result<(), TreeError> {
        self.add(at, Node { what: What::Folder, mode: mode & 0o7777, owner })
    }

    /// Gives everything to `owner`.
    #[must_use]
    pub fn owned_by(mut self, owner: Owner) -> Self {
        for node in self.entries.values_mut() {
            node.owner = owner;
        }
        self
    }

    /// Takes out what `is_out` says, by its path without a leading slash and whether it is a
    /// folder. What is in a folder is asked for by itself.
    pub fn leave_out(&mut self, is_out: impl Fn(&str, bool) -> bool) {
        self.entries.retain(|path, node| !is_out(path, matches!(node.what, What::Folder)));
    }

    /// All of `other` as well; where both have something, that of `other`.
    ///
    /// # Errors
    ///
    /// [`TreeError`] when one has a folder where the other has none.
    pub fn merge(&mut self, other: Self) -> Result<(), TreeError> {
        for (path, node) in other.entries {
            let is_known = matches!(node.what, What::Folder) && self.is_folder(&path);
            if !is_known || node.mode != FOLDER {
                self.add(&path, node)?;
            }
        }
        Ok(())
    }

    /// Whether something is at that path, be it only a folder.
    pub fn contains(&self, at: &str) -> bool {
        normal(at).is_ok_and(|path| self.entries.contains_key(&path))
    }

    /// How many entries there are, folders among them.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of all files together.
    pub fn file_bytes(&self) -> u64 {
        let sizes = self.entries.values().map(|node| match &node.what {
            What::File { size, .. } => *size,
            What::Folder | What::Link { .. } => 0,
        });
        sizes.sum()
    }

    /// By path, sorted by bytes; so each folder comes before what is in it.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries.iter().map(|(path, node)| (path.as_str(), node))
    }

    pub(crate) fn node(&self, at: &str) -> Option<&Node> {
        self.entries.get(normal(at).ok()?.as_str())
    }

    pub(crate) fn add_file(
        &mut self,
        at: &str,
        content: Content,
        size: u64,
        executable: bool,
    ) -> Result<(), TreeError> {
        let mode = if executable { PROGRAM } else { PLAIN };
        self.add(at, Node { what: What::File { content, size }, mode, owner: Owner::default() })
    }

    fn is_folder(&self, path: &str) -> bool {
        self.entries.get(path).is_some_and(|node| matches!(node.what, What::Folder))
    }

    fn add(&mut self, at: &str, node: Node) -> Result<(), TreeError> {
        let path = normal(at)?;
        if path.is_empty() {
            let why = "it is the root folder, which every image has";
            return Err(TreeError::Path { path: at.to_owned(), why });
        }
        for (slash, _) in path.match_indices('/') {
            let parent = path.get(..slash).unwrap_or_default();
            if self.is_folder(parent) {
                continue;
            }
            if self.entries.contains_key(parent) {
                let parent = parent.to_owned();
                return Err(TreeError::Below { path, parent });
            }
            let folder = Node { what: What::Folder, mode: FOLDER, owner: Owner::default() };
            self.entries.insert(parent.to_owned(), folder);
        }
        let stays = matches!(node.what, What::Folder);
        let below = format!("{path}/");
        let has_some = |tree: &Self| {
            let mut rest = tree.entries.range(below.clone()..);
            rest.next().is_some_and(|(next, _)| next.starts_with(&below))
        };
        if !stays && self.is_folder(&path) && has_some(self) {
            return Err(TreeError::Folder(path));
        }
        if self.entries.len() >= ENTRIES_MOST {
            return Err(too_many(Path::new(&path)));
        }
        self.entries.insert(path, node);
        Ok(())
    }
}

impl Content {
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(&**bytes),
            Self::Host(path) => Box::new(File::open(path)?),
        })
    }

    /// For messages.
    pub(crate) fn place<'a>(&'a self, at: &'a str) -> &'a Path {
        match self {
            Self::Bytes(_) => Path::new(at),
            Self::Host(path) => path,
        }
    }
}

/// A path in an image without its leading slash; empty for the root.
fn normal(at: &str) -> Result<String, TreeError> {
    let wrong = |why| TreeError::Path { path: at.to_owned(), why };
    let mut path = String::with_capacity(at.len());
    for name in at.split('/').filter(|name| !name.is_empty() && *name != ".") {
        if name == ".." {
            return Err(wrong("it leads upwards"));
        }
        if name.starts_with(WHITEOUT) {
            return Err(wrong("a name that begins with `.wh.` removes files in OCI layers"));
        }
        if name.len() > 255 {
            return Err(wrong("a name has more than 255 bytes"));
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(name);
    }
    if path.contains('\0') {
        return Err(wrong("it has a zero byte"));
    }
    if path.len() > PATH_MOST {
        return Err(wrong("it has more than 4095 bytes"));
    }
    Ok(path)
}

fn name_of(kind: FileType) -> &'static str {
    match () {
        () if kind.is_socket() => "socket",
        () if kind.is_fifo() => "named pipe",
        () if kind.is_block_device() => "block device",
        () if kind.is_char_device() => "character device",
        () => "file of an unknown kind",
    }
}

fn too_many(path: &Path) -> TreeError {
    TreeError::TooMuch { path: path.to_owned(), what: "files in one layer", limit: ENTRIES_MOST }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> TreeError + '_ {
    move |source| TreeError::Read { path: path.to_owned(), source }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
