//! Waiting for a condition, with a deadline. Nothing here waits for a time to pass.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// From one look at the condition to the next.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The same where time is measured.
const LOOK_PROMPTLY_EVERY: Duration = Duration::from_millis(1);

/// Looks until `look` gives something, at most as long as `within`.
pub fn until<T>(
    what: &str,
    within: Duration,
    look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    look_every(LOOK_EVERY, what, within, look)
}

/// The same for measurements: it looks more often, which costs more.
pub fn promptly<T>(
    what: &str,
    within: Duration,
    look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    look_every(LOOK_PROMPTLY_EVERY, what, within, look)
}

fn look_every<T>(
    pause: Duration,
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        // The order matters: the last look begins after the deadline has not yet passed,
        // so a slow machine gets at least one.
        let late = Instant::now() >= deadline;
        if let Some(found) = look()? {
            return Ok(found);
        }
        if late {
            bail!("not within {within:?}: {what}");
        }
        wait(pause);
    }
}

/// Looks until `holds` is true, at most as long as `within`.
pub fn eventually(
    what: &str,
    within: Duration,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<()> {
    until(what, within, || Ok(holds()?.then_some(())))
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two looks at a condition that has a deadline"
)]
fn wait(pause: Duration) {
    thread::sleep(pause);
}
