//! Where a report goes, and in which form.

use std::path::Path;

use updraft_audit::format::{self, Look};
use updraft_audit::{Report, Texts};

use super::args::{CheckArgs, Format};
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// How wide a report is where nobody says.
const WIDTH: usize = 100;

/// Writes the report as it is wanted.
pub(super) fn report(report: &Report, global: &Global, args: &CheckArgs) -> Result<(), Failure> {
    let texts = Texts::carried();
    let on_terminal = args.output.is_none() && output::stdout_is_terminal();
    let text = match args.format(global.json) {
        Format::Terminal => {
            let width = if on_terminal { width() } else { WIDTH };
            format::terminal(report, texts, Look { width, colour: true, unicode: unicode() })
        }
        Format::Json => serde_json::to_string_pretty(report).map_err(|error| {
            Failure::finding("the report cannot be written as JSON").because(&error)
        })?,
        Format::Sarif => format::sarif(report, texts),
        Format::Junit => format::junit(report, texts),
        Format::Html => format::html(report, texts),
    };
    match &args.output {
        None => output::result(text.trim_end()),
        Some(path) if args.format(global.json) == Format::Terminal => {
            write(path, &anstream::adapter::strip_str(&text).to_string())
        }
        Some(path) => write(path, &text),
    }
}

/// How wide the terminal is.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map_or(WIDTH, |size| usize::from(size.ws_col)).max(1)
}

/// Writes a file, and says so.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Failure::environment(format!("cannot write {}", path.display())).because(&error)
    })?;
    output::say(format!("wrote {}", path.display()));
    Ok(())
}

/// Whether the terminal's character set has more than ASCII (`locale(7)`).
fn unicode() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    set.is_none_or(|set| set.to_ascii_uppercase().contains("UTF"))
}
