//! What the chores say. Styles reach a terminal only: `anstream` strips them elsewhere.

use std::io::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

const STEP: Style = AnsiColor::Cyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Announces a step.
pub(crate) fn step(name: &str, what: &str) {
    line(&format!("{STEP}▶ {name}{STEP:#}  {what}"));
}

/// A step went well.
pub(crate) fn passed(name: &str, took: Duration) {
    line(&format!("{GOOD}✔ {name}{GOOD:#}  {}", seconds(took)));
}

/// A chore failed, with every reason behind it.
pub(crate) fn failure(error: &anyhow::Error) {
    line(&format!("{BAD}✘ {error}{BAD:#}"));
    for cause in error.chain().skip(1) {
        line(&format!("  because {cause}"));
    }
}

/// A line as it is.
pub(crate) fn line(text: &str) {
    // The reader may have gone away (`cargo xtask ci | head`); the exit code still tells.
    drop(writeln!(anstream::stdout().lock(), "{text}"));
}

/// A time span as people read it.
pub(crate) fn seconds(took: Duration) -> String {
    if took < Duration::from_secs(60) {
        format!("{:.1} s", took.as_secs_f64())
    } else {
        format!("{} min {:02} s", took.as_secs() / 60, took.as_secs() % 60)
    }
}
