//! Questions to the program `git`, each with a bound, none of which changes anything, asks the
//! network or waits for a person.

use std::ffi::OsStr;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// How long one question may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// More of an answer is not read: the names of a million files.
const ANSWER_MAX: u64 = 128 << 20;

/// Variables with which a calling Git (a hook) would point this one elsewhere.
const OF_A_CALLER: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CEILING_DIRECTORIES",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
];

/// Why Git did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    /// It is not installed.
    #[error("`git` is not installed")]
    Missing,
    /// It could not be run.
    #[error("`git` could not be run")]
    Run(#[source] io::Error),
    /// It took too long.
    #[error("`git` did not answer within {} s", PATIENCE.as_secs())]
    Late,
    /// It refused.
    #[error("`git` said: {0}")]
    Refused(String),
}

/// What `git ARGUMENTS` writes in a folder.
pub(super) fn ask(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
    ask_program(OsStr::new("git"), folder, arguments, PATIENCE)
}

/// [`ask`], of this program and for so long.
pub(super) fn ask_program(
    program: &OsStr,
    folder: &Path,
    arguments: &[&str],
    patience: Duration,
) -> Result<Vec<u8>, GitError> {
    // Files and not pipes: a full pipe would need a reader while the end is waited for.
    let mut output = tempfile::tempfile().map_err(GitError::Run)?;
    let mut complaint = tempfile::tempfile().map_err(GitError::Run)?;
    let mut command = Command::new(program);
    command
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_PAGER", "cat")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(GitError::Run)?)
        .stderr(complaint.try_clone().map_err(GitError::Run)?)
        .process_group(0);
    for name in OF_A_CALLER {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => GitError::Missing,
        _ => GitError::Run(error),
    })?;
    let status = wait(&mut child, patience).map_err(GitError::Run)?.ok_or(GitError::Late)?;
    if status.success() {
        return read(&mut output).map_err(GitError::Run);
    }
    let complaint = read(&mut complaint).map_err(GitError::Run)?;
    let complaint = String::from_utf8_lossy(&complaint);
    let first = complaint.lines().find(|line| !line.is_empty()).unwrap_or("nothing");
    Err(GitError::Refused(first.chars().take(200).collect()))
}

/// `None`: it took too long, and was killed with everything it started.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let pid = Pid::from_child(child);
    let ended = pidfd_open(pid, PidfdFlags::empty())
        .and_then(|handle| {
            let patience = Timespec::try_from(patience).ok();
            poll(&mut [PollFd::new(&handle, PollFlags::IN)], patience.as_ref())
        })
        .is_ok_and(|ready| ready > 0);
    if !ended {
        // It is not waited for yet, so its number is still its own.
        kill_process_group(pid, Signal::KILL)?;
    }
    let status = child.wait()?;
    Ok(ended.then_some(status))
}

fn read(file: &mut std::fs::File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(ANSWER_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_answer_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("slow");
        std::fs::write(&script, "#!/bin/sh\nsleep 600 & echo $! > child\nwait\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).unwrap();

        let answer =
            ask_program(script.as_os_str(), folder.path(), &[], Duration::from_millis(500));

        assert!(matches!(answer, Err(GitError::Late)), "{answer:?}");
        let child = std::fs::read_to_string(folder.path().join("child")).unwrap();
        let child = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
        // Gone, or soon: a signal arrives when its receiver is scheduled next.
        if let Ok(handle) = pidfd_open(child, PidfdFlags::empty()) {
            let patience = Timespec::try_from(PATIENCE).unwrap();
            let ended = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&patience));
            assert_eq!(ended, Ok(1));
        }
    }

    #[test]
    fn what_is_not_installed_is_missing_and_a_refusal_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let none = ask_program(OsStr::new("git-that-is-not"), folder.path(), &[], PATIENCE);
        assert!(matches!(none, Err(GitError::Missing)), "{none:?}");
        let refused = ask(folder.path(), &["no-such-verb"]);
        let Err(GitError::Refused(words)) = refused else { panic!("{refused:?}") };
        assert!(words.contains("no-such-verb"), "{words}");
    }
}
