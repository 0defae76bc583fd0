//! The files that the log is kept in, as the one who writes them sees them.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::LogLimits;
use super::stored::{Row, RowReader};

const SUFFIX: &str = ".ndjson";

/// How much of the newest file is read to find the last number given. It holds at least
/// one row of the longest line.
const TAIL_BYTES: u64 = 1 << 20;

/// The log's directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the log in {}: it must be a directory that you may write to", dir.display())]
pub struct OpenLogError {
    pub(crate) dir: PathBuf,
    #[source]
    pub(crate) cause: io::Error,
}

/// A segment file. Names order the files: they are the number of their first line.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first_seq: u64,
    pub(crate) path: PathBuf,
}

/// The segment files in `dir`, oldest first.
pub(crate) fn list_segments(dir: &Path) -> io::Result<Vec<Segment>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(Ok(first_seq)) = name.strip_suffix(SUFFIX).map(str::parse) {
            segments.push(Segment { first_seq, path });
        }
    }
    segments.sort_unstable_by_key(|segment| segment.first_seq);
    Ok(segments)
}

/// Appends rows to the newest segment, starts new ones, and removes the oldest.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    dir: PathBuf,
    segment_bytes: u64,
    total_bytes: u64,
    finished: VecDeque<(PathBuf, u64)>,
    current: Option<CurrentSegment>,
    /// The name of the newest segment, as a number.
    newest: Option<u64>,
}

#[derive(Debug)]
struct CurrentSegment {
    path: PathBuf,
    file: File,
    size: u64,
}

impl SegmentWriter {
    /// Continues the log in `dir`; also gives the number for its next line.
    pub(crate) fn open(dir: &Path, limits: &LogLimits) -> io::Result<(Self, u64)> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut writer = Self {
            dir: dir.to_owned(),
            segment_bytes: limits.segment_bytes,
            total_bytes: limits.total_bytes,
            finished: VecDeque::new(),
            current: None,
            newest: None,
        };
        let mut segments = list_segments(dir)?;
        let newest = segments.pop();
        for segment in segments {
            let size = fs::metadata(&segment.path)?.len();
            writer.finished.push_back((segment.path, size));
        }
        let mut next_seq = 1;
        if let Some(newest) = newest {
            let current = CurrentSegment::resume(newest.path)?;
            next_seq = current.next_seq(newest.first_seq)?;
            writer.newest = Some(newest.first_seq);
            writer.current = Some(current);
        }
        writer.remove_oldest();
        Ok((writer, next_seq))
    }

    /// Appends whole rows, the first of which has the number `first_seq`: all or none.
    pub(crate) fn append(&mut self, rows: &[u8], first_seq: u64) -> io::Result<()> {
        let is_full = |current: &mut CurrentSegment| {
            current.size > 0 && current.size + rows.len() as u64 > self.segment_bytes
        };
        if let Some(full) = self.current.take_if(is_full) {
            self.finish(full);
        }
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.start(first_seq)?,
        };
        match current.file.write_all(rows) {
            Ok(()) => {
                current.size += rows.len() as u64;
                self.current = Some(current);
                Ok(())
            }
            Err(error) => {
                // What was written of the rows is counted as lost, so it must go.
                match current.file.set_len(current.size) {
                    Ok(()) => self.current = Some(current),
                    Err(_) => self.finish(current),
                }
                Err(error)
            }
        }
    }

    fn start(&mut self, first_seq: u64) -> io::Result<CurrentSegment> {
        let name = self.newest.map_or(first_seq, |newest| first_seq.max(newest + 1));
        let path = self.dir.join(format!("{name:020}{SUFFIX}"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        self.newest = Some(name);
        Ok(CurrentSegment { path, file, size: 0 })
    }

    fn finish(&mut self, segment: CurrentSegment) {
        self.finished.push_back((segment.path, segment.size));
        self.remove_oldest();
    }

    /// Makes room for one full segment more.
    fn remove_oldest(&mut self) {
        let mut size: u64 = self.finished.iter().map(|(_, size)| size).sum();
        while size + self.segment_bytes > self.total_bytes {
            let Some((path, freed)) = self.finished.pop_front() else { return };
            size -= freed;
            // One that cannot be removed is found again by the next run.
            drop(fs::remove_file(path));
        }
    }
}

impl CurrentSegment {
    /// Opens the newest segment of an earlier run.
    fn resume(path: PathBuf) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).open(&path)?;
        let mut size = file.metadata()?.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        if last != [b'\n'] {
            // That run was killed within a row: our first row must not join it.
            file.write_all(b"\n")?;
            size += 1;
        }
        Ok(Self { path, file, size })
    }

    fn next_seq(&self, first_seq: u64) -> io::Result<u64> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.size.saturating_sub(TAIL_BYTES)))?;
        let mut rows = RowReader::new(file, 0);
        let mut last_seq = None;
        while let Some(row) = rows.next_row()? {
            if let Row::Line(line) = row {
                last_seq = last_seq.max(Some(line.seq));
            }
        }
        // Where nothing can be read, the number of bytes is more than there were lines.
        Ok(last_seq.map_or(first_seq + self.size, |seq| seq + 1).max(first_seq + 1))
    }
}
