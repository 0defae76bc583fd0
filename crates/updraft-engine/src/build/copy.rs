//! The sources of a system at another place, with other times: for a second build.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use super::inputs::sources;

/// The time of files of a copy, in seconds of Unix time: a day in 2001.
const COPIED: Duration = Duration::from_secs(1_000_000_000);

/// Copies the sources of a folder, with their executable bits and links and without their times.
///
/// # Errors
///
/// What cannot be read or written, or that it took too long.
pub(super) fn copy_sources(from: &Path, to: &Path, until: Option<Instant>) -> io::Result<()> {
    for path in sources(from, &[]) {
        if until.is_some_and(|until| until < Instant::now()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let path = path.map_err(io::Error::other)?;
        let Ok(relative) = path.strip_prefix(from) else { continue };
        let kind = fs::symlink_metadata(&path)?.file_type();
        // Sockets and pipes have no content, and a pipe would be waited for.
        if !kind.is_symlink() && !kind.is_file() {
            continue;
        }
        let copy = to.join(relative);
        fs::create_dir_all(copy.parent().unwrap_or(to))?;
        match kind.is_symlink() {
            true => std::os::unix::fs::symlink(fs::read_link(&path)?, &copy)?,
            false => {
                fs::copy(&path, &copy)?;
                File::open(&copy)?.set_modified(SystemTime::UNIX_EPOCH + COPIED)?;
            }
        }
    }
    Ok(())
}

/// Copies all that a system in `directory` may be built from: its whole repository, since a
/// workspace of Cargo may be above; without Git nothing tells how far, and it is the folder.
/// Returns where the system is in the copy.
///
/// # Errors
///
/// What cannot be read or written, or that it is not done `until` a moment.
pub fn copy_system(directory: &Path, to: &Path, until: Option<Instant>) -> io::Result<PathBuf> {
    let directory = directory.canonicalize()?;
    let top = top(&directory).unwrap_or_else(|| directory.clone());
    copy_sources(&top, to, until)?;
    Ok(to.join(directory.strip_prefix(&top).unwrap_or(Path::new(""))))
}

/// The root of the repository that has the folder; one that ignores it has not.
fn top(directory: &Path) -> Option<PathBuf> {
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        let output = git.arg("-C").arg(directory).args(words).output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    let top = String::from_utf8(git(&["rev-parse", "--show-toplevel"])?).ok()?;
    let top = PathBuf::from(top.trim()).canonicalize().ok()?;
    let is_ignored = git(&["check-ignore", "--quiet", "."]).is_some();
    (!is_ignored && directory.starts_with(&top)).then_some(top)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// To read a pipe is to wait for whoever writes to it.
    #[test]
    fn what_has_no_content_is_left_out() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", from.path().join("link")).unwrap();
        let _socket = UnixListener::bind(from.path().join("socket")).unwrap();
        let made = Command::new("mkfifo").arg(from.path().join("pipe")).status().unwrap();
        assert!(made.success());
        copy_sources(from.path(), to.path(), None).unwrap();
        let copied = fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let copied: std::collections::BTreeSet<_> = copied.collect();
        assert_eq!(copied, ["file", "link"].map(Into::into).into());
    }
}
