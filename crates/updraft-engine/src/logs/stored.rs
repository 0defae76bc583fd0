//! Reads the segment files: with or without a running system, and whatever a crash left.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use updraft_system::{LogLine, LogSource, LogStream, Slot};

use super::query::{LogQuery, Sieve};
use super::segments::list_segments;

/// The longest row that is read; a line of 64 KiB whose every byte is escaped is shorter.
const ROW_BYTES_MAX: u64 = 1 << 20;

/// A segment file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log in {}: check who may read it", path.display())]
pub struct ReadLogError {
    path: PathBuf,
    #[source]
    cause: io::Error,
}

/// The stored lines that `query` wants, oldest first; `follow` has no meaning here.
///
/// Rows that are not lines, as a crash leaves them, are skipped and counted. Memory is
/// bounded by the longest row, whatever is stored.
pub fn read_stored(dir: &Path, query: &LogQuery) -> Result<StoredLines, ReadLogError> {
    read_stored_before(dir, query, u64::MAX)
}

/// [`read_stored`] of the lines whose number is lower than `before_seq`.
pub(crate) fn read_stored_before(
    dir: &Path,
    query: &LogQuery,
    before_seq: u64,
) -> Result<StoredLines, ReadLogError> {
    let fail = |cause| ReadLogError { path: dir.to_owned(), cause };
    let segments = list_segments(dir).map_err(fail)?;
    let mut lines = StoredLines {
        sieve: Sieve::new(query.clone()),
        before_seq,
        segments: segments.into_iter().map(|segment| segment.path).collect(),
        rows: None,
        rest: VecDeque::new(),
        skipped_rows: 0,
    };
    match query.last {
        Some(0) => lines.segments.clear(),
        Some(count) => lines.start_at_last(count)?,
        None => {}
    }
    Ok(lines)
}

/// Stored lines on their way from the files.
#[derive(Debug)]
pub struct StoredLines {
    sieve: Sieve,
    before_seq: u64,
    segments: VecDeque<PathBuf>,
    rows: Option<(PathBuf, RowReader)>,
    rest: VecDeque<LogLine>,
    skipped_rows: u64,
}

impl StoredLines {
    /// How many rows were skipped so far because they are not lines of a log.
    pub fn skipped_rows(&self) -> u64 {
        self.skipped_rows
    }

    /// Finds where the last `count` lines begin, newest file first, so that usually only
    /// that one is read.
    fn start_at_last(&mut self, count: usize) -> Result<(), ReadLogError> {
        let mut wanted = count;
        for index in (0..self.segments.len()).rev() {
            let path = self.segments[index].clone();
            let fail = |cause| ReadLogError { path: path.clone(), cause };
            let starts = self.starts_of_last(&path, wanted).map_err(fail)?;
            if let Some(&start) = starts.front().filter(|_| starts.len() == wanted) {
                self.segments.drain(..=index);
                self.rows = RowReader::open(&path, start).map_err(fail)?.map(|rows| (path, rows));
                return Ok(());
            }
            wanted -= starts.len();
        }
        Ok(())
    }

    /// Where the last `count` lines that fit begin in one file.
    fn starts_of_last(&self, path: &Path, count: usize) -> io::Result<VecDeque<u64>> {
        let mut starts = VecDeque::new();
        let Some(mut rows) = RowReader::open(path, 0)? else { return Ok(starts) };
        loop {
            let start = rows.offset;
            match rows.next_row()? {
                Some(Row::Line(line))
                    if line.seq < self.before_seq && self.sieve.query.admits(&line) =>
                {
                    if starts.len() == count {
                        starts.pop_front();
                    }
                    starts.push_back(start);
                }
                Some(_) => {}
                None => return Ok(starts),
            }
        }
    }

    /// The next line that fits; `None` at the end of the file.
    fn next_in_file(&mut self, rows: &mut RowReader) -> io::Result<Option<LogLine>> {
        while let Some(row) = rows.next_row()? {
            match row {
                Row::Line(line) if line.seq >= self.before_seq => {}
                Row::Line(line) => {
                    if let Some(line) = self.sieve.sift(line) {
                        return Ok(Some(line));
                    }
                }
                Row::Garbage => self.skipped_rows += 1,
                Row::Torn => {}
            }
        }
        Ok(None)
    }
}

impl Iterator for StoredLines {
    type Item = Result<LogLine, ReadLogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((path, mut rows)) = self.rows.take() else {
                let Some(path) = self.segments.pop_front() else {
                    self.rest.extend(self.sieve.rest());
                    return self.rest.pop_front().map(Ok);
                };
                match RowReader::open(&path, 0) {
                    // Removed as the oldest since it was listed: its lines are past keeping.
                    Ok(None) => {}
                    Ok(Some(rows)) => self.rows = Some((path, rows)),
                    Err(cause) => return Some(Err(ReadLogError { path, cause })),
                }
                continue;
            };
            match self.next_in_file(&mut rows) {
                Ok(None) => {}
                Ok(Some(line)) => {
                    self.rows = Some((path, rows));
                    return Some(Ok(line));
                }
                Err(cause) => return Some(Err(ReadLogError { path, cause })),
            }
        }
    }
}

/// What a row of a file is.
#[derive(Debug)]
pub(crate) enum Row {
    Line(LogLine),
    /// Bytes that are not a line of a log.
    Garbage,
    /// The start of a row that is being written, or never was to its end.
    Torn,
}

/// The rows of one segment file.
#[derive(Debug)]
pub(crate) struct RowReader {
    reader: BufReader<File>,
    row: Vec<u8>,
    offset: u64,
}

impl RowReader {
    /// Opens a file at `offset`; `None` when it is gone.
    fn open(path: &Path, offset: u64) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(offset))?;
                Ok(Some(Self::new(file, offset)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn new(file: File, offset: u64) -> Self {
        Self { reader: BufReader::with_capacity(64 << 10, file), row: Vec::new(), offset }
    }

    pub(crate) fn next_row(&mut self) -> io::Result<Option<Row>> {
        self.row.clear();
        let length = (&mut self.reader).take(ROW_BYTES_MAX).read_until(b'\n', &mut self.row)?;
        if length == 0 {
            return Ok(None);
        }
        self.offset += length as u64;
        if let Ok(stored) = serde_json::from_slice::<StoredRow<'_>>(&self.row)
            && let Some(line) = stored.into_line()
        {
            return Ok(Some(Row::Line(line)));
        }
        if self.row.ends_with(b"\n") {
            return Ok(Some(Row::Garbage));
        }
        if (length as u64) < ROW_BYTES_MAX {
            return Ok(Some(Row::Torn));
        }
        self.offset += self.reader.skip_until(b'\n')? as u64;
        Ok(Some(Row::Garbage))
    }
}

/// The JSON of a [`LogLine`], read without copies: its flattened source makes serde read
/// everything twice.
#[derive(Deserialize)]
struct StoredRow<'a> {
    seq: u64,
    time: Timestamp,
    #[serde(borrow)]
    service: Cow<'a, str>,
    #[serde(borrow)]
    process: Cow<'a, str>,
    replica: u32,
    #[serde(default)]
    slot: Slot,
    stream: LogStream,
    #[serde(borrow)]
    line: Cow<'a, str>,
    #[serde(default)]
    partial: bool,
    #[serde(default)]
    dropped: u64,
}

impl StoredRow<'_> {
    fn into_line(self) -> Option<LogLine> {
        Some(LogLine {
            seq: self.seq,
            time: self.time,
            source: LogSource {
                service: self.service.parse().ok()?,
                process: self.process.parse().ok()?,
                replica: self.replica,
                slot: self.slot,
            },
            stream: self.stream,
            line: self.line.into_owned(),
            partial: self.partial,
            dropped: self.dropped,
        })
    }
}
