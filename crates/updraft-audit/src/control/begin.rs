//! What a control does before it serves.

use std::fs::OpenOptions;
use std::io;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use super::Behaviour;
use crate::role::VERB;

/// How long a slow start takes.
const SLOW: Duration = Duration::from_secs(1);
/// From one look at signals to the next.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Made at the start and taken away at the end.
const LOCK: &str = "server.lock";

/// Prepares; `Some`: it was told to end before it serves.
pub(super) fn begin(
    behaviours: &[Behaviour],
    signals: &mut Signals,
) -> io::Result<Option<ExitCode>> {
    let has = |behaviour| behaviours.contains(&behaviour);
    if has(Behaviour::StaleLock) {
        OpenOptions::new().write(true).create_new(true).open(LOCK)?;
    }
    if has(Behaviour::SlowStart) {
        let until = Instant::now() + SLOW;
        while Instant::now() < until {
            std::thread::park_timeout(LOOK_EVERY);
            let asked = signals.pending().any(|signal| signal == SIGTERM);
            if asked && !has(Behaviour::DeafEarly) {
                return Ok(Some(ExitCode::SUCCESS));
            }
        }
    }
    Ok(None)
}

/// Takes away what [`begin`] made.
pub(super) fn end(behaviours: &[Behaviour]) -> io::Result<()> {
    if behaviours.contains(&Behaviour::StaleLock) {
        std::fs::remove_file(LOCK)?;
    }
    Ok(())
}

/// Starts a good one in the background and ends, as a daemon of old does.
pub(super) fn daemon() -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    let good = [VERB, "control", "good"];
    Command::new("/proc/self/exe").args(good).process_group(0).spawn()?;
    Ok(ExitCode::SUCCESS)
}
