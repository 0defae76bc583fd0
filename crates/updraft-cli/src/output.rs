//! The one place that writes: results to stdout, everything else to stderr.
//! `anstream` drops colours where the reader is no terminal or wants none.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;

use crate::failure::{Failure, Said};

/// Bold red, as compilers have it.
const ERROR: Style = AnsiColor::Red.on_default().bold();
/// What to do about an error.
const HELP: Style = AnsiColor::Cyan.on_default();
/// Most notices that wait for a slow terminal; further ones are lost.
const NOTICES_MAX: usize = 256;
/// How long the last notices may take at the end.
const NOTICES_FLUSH: Duration = Duration::from_millis(500);

/// Writes one line of a result.
pub(crate) fn result(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| unwritten(&error))
}

/// Writes a result as JSON.
pub(crate) fn json_result(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| {
        Failure::finding("the result cannot be written as JSON").because(&error)
    })?;
    result(text)
}

/// Writes a part of a result as JSON in one line.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| {
        Failure::finding("the result cannot be written as JSON").because(&error)
    })?;
    result(text)
}

/// Writes one line to stderr. That it cannot be read is no reason to fail.
pub(crate) fn say(text: impl std::fmt::Display) {
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}

/// Writes why a verb failed to stderr.
pub(crate) fn failure(failure: &Failure, json: bool) {
    match (failure, json) {
        (Failure::ReaderGone, _) => {}
        (Failure::Said(said), true) => say(json!({
            "error": said.message,
            "causes": said.causes,
            "help": said.help,
            "exit": said.class.code(),
        })),
        (Failure::Manifest(problems), true) => say(problems.to_json()),
        (Failure::Config(problems), true) => say(problems.to_json()),
        (Failure::Config(problems), false) => say(problems.to_text().trim_end()),
        (Failure::Said(said), false) => say(said_in_words(said)),
        (Failure::Manifest(problems), false) => {
            // miette has made its colours for this very stderr.
            drop(io::stderr().lock().write_all(problems.to_text().as_bytes()));
        }
    }
}

/// Whether a person looks at stderr and may be shown moving things.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether a person looks at stdout.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

fn said_in_words(said: &Said) -> String {
    let mut text = format!("{ERROR}error:{ERROR:#} {}", said.message);
    for cause in &said.causes {
        text.push_str(&format!("\n  because: {cause}"));
    }
    if let Some(help) = &said.help {
        text.push_str(&format!("\n  {HELP}help:{HELP:#} {help}"));
    }
    text
}

/// Why a result could not be written.
pub(crate) fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::ReaderGone
    } else {
        Failure::environment("the output cannot be written").because(error)
    }
}

/// Lines to stderr from a program that must never wait for its reader: a
/// supervisor goes on supervising while its terminal is stopped.
#[derive(Debug)]
pub(crate) struct Notices {
    queue: Option<SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
    done: Receiver<()>,
}

impl Notices {
    pub(crate) fn start() -> Self {
        let (queue, lines) = sync_channel::<String>(NOTICES_MAX);
        let (finished, done) = sync_channel(1);
        let writer = std::thread::Builder::new().name("notices".to_owned()).spawn(move || {
            lines.iter().for_each(say);
            // Whoever wanted to know may have stopped waiting.
            finished.send(()).unwrap_or_default();
        });
        Self { queue: Some(queue), writer: writer.ok(), done }
    }

    /// Writes a line as soon as the reader takes it.
    pub(crate) fn say(&self, text: impl std::fmt::Display) {
        if let Some(queue) = &self.queue {
            // A full queue means that nobody has read for hundreds of lines.
            drop(queue.try_send(text.to_string()));
        }
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.queue = None;
        if self.done.recv_timeout(NOTICES_FLUSH).is_ok()
            && let Some(writer) = self.writer.take()
        {
            drop(writer.join());
        }
    }
}
