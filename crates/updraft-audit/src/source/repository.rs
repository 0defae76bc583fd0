//! Which repository a folder belongs to, found as the programs of version control find it.

use std::io;
use std::path::{Path, PathBuf};

/// A repository of a version control system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    /// The folder that holds its working copy.
    pub(crate) root: PathBuf,
    /// Whose repository it is.
    pub(crate) vcs: Vcs,
}

/// A version control system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vcs {
    /// Git, whose state can be read.
    Git,
    /// Jujutsu: each state of the working copy is a commit by itself.
    Jujutsu,
    /// Another one: that it is there is all that is seen.
    Other(&'static str),
}

/// What marks the root of a working copy. Jujutsu comes first: where both are, Git's index is
/// not what says whether something is committed.
const MARKS: &[(&str, Vcs)] = &[
    (".jj", Vcs::Jujutsu),
    (".git", Vcs::Git),
    (".hg", Vcs::Other("Mercurial")),
    (".sl", Vcs::Other("Sapling")),
    (".svn", Vcs::Other("Subversion")),
    (".pijul", Vcs::Other("Pijul")),
    ("_darcs", Vcs::Other("Darcs")),
    (".fslckout", Vcs::Other("Fossil")),
    ("_FOSSIL_", Vcs::Other("Fossil")),
    (".bzr", Vcs::Other("Bazaar")),
    ("CVS", Vcs::Other("CVS")),
    (".p4config", Vcs::Other("Perforce")),
];

impl Repository {
    /// The nearest repository in a folder or above it, and the nearest folder that could not
    /// be asked.
    pub(super) fn above(folder: &Path) -> (Option<Self>, Option<PathBuf>) {
        let mut unreadable = None;
        for root in folder.ancestors() {
            for (mark, vcs) in MARKS {
                match is_mark(&root.join(mark), *vcs) {
                    Ok(true) => {
                        return (Some(Self { root: root.to_owned(), vcs: *vcs }), unreadable);
                    }
                    Ok(false) => {}
                    Err(_) => unreadable = unreadable.or_else(|| Some(root.to_owned())),
                }
            }
        }
        (None, unreadable)
    }
}

/// An empty folder `.git` is no repository, also to Git.
fn is_mark(path: &Path, vcs: Vcs) -> io::Result<bool> {
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) if is_absence(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    match vcs {
        Vcs::Git if found.is_dir() => path.join("HEAD").try_exists(),
        // A worktree or a submodule: a file that says where the repository is.
        Vcs::Git => Ok(std::fs::read(path)?.starts_with(b"gitdir:")),
        _ => Ok(true),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
