//! The commit of a source tree, read from the files of its Git folder: a build must not need
//! the program `git`.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Links from one reference to the next that are followed.
const LINKS_MOST: usize = 5;

/// What is checked out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) commit: String,
    /// The files that say so.
    pub(super) files: Vec<PathBuf>,
}

/// What is checked out in `folder`, or in the nearest folder above it that Git knows.
pub(super) fn head(folder: &Path) -> Option<Head> {
    let dot_git = super::above(folder, ".git")?;
    let own = if dot_git.is_dir() { dot_git } else { linked(&dot_git)? };
    // A linked worktree has its own HEAD and shares the rest.
    let common = match read_to_string(own.join("commondir")) {
        Ok(path) => own.join(path.trim()),
        Err(_) => own.clone(),
    };
    let mut files = vec![own.join("HEAD")];
    let mut text = read_to_string(files.first()?).ok()?;
    for _ in 0..LINKS_MOST {
        let Some(name) = text.trim().strip_prefix("ref:") else { break };
        let name = name.trim().to_owned();
        let loose = [own.join(&name), common.join(&name)];
        match loose.into_iter().find(|path| path.is_file()) {
            Some(path) => {
                text = read_to_string(&path).ok()?;
                files.push(path);
            }
            None => {
                let path = common.join("packed-refs");
                text = packed(&read_to_string(&path).ok()?, &name)?;
                files.push(path);
            }
        }
    }
    let commit = text.trim().to_owned();
    let is_hash = matches!(commit.len(), 40 | 64) && commit.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then_some(Head { commit, files })
}

/// The folder that the file `.git` of a linked worktree names.
fn linked(dot_git: &Path) -> Option<PathBuf> {
    let text = read_to_string(dot_git).ok()?;
    let path = text.trim().strip_prefix("gitdir:")?.trim();
    Some(dot_git.parent()?.join(path))
}

fn packed(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter(|line| !line.starts_with(['#', '^']));
    lines.find_map(|line| {
        let (hash, own) = line.split_once(' ')?;
        (own == name).then(|| hash.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};

    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    /// A folder of this test alone, gone at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("updraft-{name}-{}", std::process::id()));
            create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, text).unwrap();
        }

        fn commit(&self, path: &str) -> Option<String> {
            let folder = self.0.join(path);
            create_dir_all(&folder).unwrap();
            head(&folder).map(|head| head.commit)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn a_branch_is_followed_to_its_commit_packed_or_not() {
        let folder = Folder::new("branch");
        folder.write(".git/HEAD", "ref: refs/heads/main\n");
        folder.write(
            ".git/packed-refs",
            &format!(
                "# pack-refs with: peeled\n{TWO} refs/tags/v1\n^{TWO}\n{ONE} refs/heads/main\n"
            ),
        );
        assert_eq!(folder.commit("crates/orders").as_deref(), Some(ONE));
        folder.write(".git/refs/heads/main", &format!("{TWO}\n"));
        assert_eq!(folder.commit("crates/orders").as_deref(), Some(TWO));
        folder.write(".git/HEAD", &format!("{ONE}\n"));
        assert_eq!(folder.commit(".").as_deref(), Some(ONE));
    }

    #[test]
    fn a_linked_worktree_has_its_own_head_and_shared_branches() {
        let folder = Folder::new("worktree");
        folder.write("main/.git/HEAD", "ref: refs/heads/main\n");
        folder.write("main/.git/refs/heads/topic", &format!("{TWO}\n"));
        folder.write("main/.git/worktrees/topic/HEAD", "ref: refs/heads/topic\n");
        folder.write("main/.git/worktrees/topic/commondir", "../..\n");
        folder.write("topic/.git", "gitdir: ../main/.git/worktrees/topic\n");
        assert_eq!(folder.commit("topic/src").as_deref(), Some(TWO));
    }

    #[test]
    fn what_is_no_commit_is_not_taken_for_one() {
        let folder = Folder::new("nothing");
        for text in ["", "ref: refs/heads/unborn\n", "ref: HEAD\n", "zz\n", "1234\n"] {
            folder.write(".git/HEAD", text);
            assert_eq!(folder.commit("."), None, "{text:?}");
        }
    }
}
