//! How a control says what it was asked: a line for each request on standard output, or one of
//! the ways in which that goes wrong.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Stdout, Write as _};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::{Behaviour, say};

/// Lines that wait for a reader who does not read; the rest is dropped.
const LINES_MAX: usize = 100;
/// What the standard libraries of most languages buffer.
const BUFFER_BYTES: usize = 8 * 1024;

/// Where the lines of a control go.
pub(super) enum Journal {
    Lines,
    Silent,
    /// Written when the buffer is full, and lost at the end.
    Buffered(Mutex<BufWriter<Stdout>>),
    File(Mutex<File>),
    /// Whoever does not read has no say in what is served.
    Dropping(SyncSender<String>),
}

impl Journal {
    pub(super) fn open(behaviours: &[Behaviour]) -> io::Result<Self> {
        let has = |behaviour| behaviours.contains(&behaviour);
        if has(Behaviour::Silent) {
            return Ok(Self::Silent);
        }
        if has(Behaviour::Buffered) {
            let writer = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
            return Ok(Self::Buffered(Mutex::new(writer)));
        }
        if has(Behaviour::LogsToFile) {
            let file = OpenOptions::new().append(true).create(true).open("access.log")?;
            return Ok(Self::File(Mutex::new(file)));
        }
        if has(Behaviour::DropsLines) {
            let (lines, written) = sync_channel::<String>(LINES_MAX);
            std::thread::spawn(move || written.iter().for_each(|line| say(&line)));
            return Ok(Self::Dropping(lines));
        }
        Ok(Self::Lines)
    }

    /// Says a line; what becomes of it is the behaviour's.
    pub(super) fn line(&self, line: &str) {
        match self {
            Self::Lines => say(line),
            Self::Silent => {}
            Self::Buffered(writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                drop(writeln!(writer, "{line}"));
            }
            Self::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                drop(writeln!(file, "{line}"));
            }
            Self::Dropping(lines) => drop(lines.try_send(line.to_owned())),
        }
    }
}
