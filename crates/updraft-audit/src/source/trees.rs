//! Folders and repositories for the tests of this room.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Tree;

/// A temporary folder with files in it.
#[derive(Debug)]
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder with these files.
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            folder.write(path, text.as_bytes());
        }
        folder
    }

    /// A repository of Git in which these files are committed.
    pub(super) fn committed(files: &[(&str, &str)]) -> Self {
        let folder = Self::with(files);
        folder.git(&["init", "-q", "."]);
        folder.commit();
        folder
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    pub(super) fn write(&self, path: &str, text: &[u8]) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
    }

    pub(super) fn git(&self, arguments: &[&str]) {
        git(self.0.path(), arguments);
    }

    pub(super) fn tree(&self) -> Tree {
        Tree::at(self.0.path()).unwrap()
    }

    pub(super) fn tree_at(&self, folder: &str) -> Tree {
        Tree::at(&self.0.path().join(folder)).unwrap()
    }
}

/// Runs Git as nobody in particular, with no configuration but the repository's.
pub(super) fn git(folder: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.invalid"])
        .args(["-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .status()
        .unwrap();
    assert!(status.success(), "git {arguments:?}");
}
