//! Lines on their way from a pipe to the ring, the file and the subscribers: shared,
//! not copied, and made into a [`LogLine`] only where somebody wants one.

use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use updraft_system::{LogLine, LogSource, LogStream, Slot};

use super::framing::Pieces;

/// The lines of one read of one pipe. Line `n` has the number `first_seq + n`.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) source: Arc<LogSource>,
    pub(crate) stream: LogStream,
    pub(crate) time: Timestamp,
    pub(crate) first_seq: u64,
    pub(crate) lines: Pieces,
}

/// The number of the line `index` places after `first`.
pub(crate) fn seq_at(first: u64, index: usize) -> u64 {
    first + index as u64
}

impl Batch {
    /// What the batch costs in memory, with the parts that do not grow.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.lines.size_bytes()
    }

    /// The number that follows the last line.
    pub(crate) fn end_seq(&self) -> u64 {
        seq_at(self.first_seq, self.lines.len())
    }

    /// Line `index` as it is sent.
    pub(crate) fn line(&self, index: usize, dropped: u64) -> Option<LogLine> {
        let (text, partial) = self.lines.get(index)?;
        Some(LogLine {
            seq: seq_at(self.first_seq, index),
            time: self.time,
            source: LogSource::clone(&self.source),
            stream: self.stream,
            line: String::from_utf8_lossy(text).into_owned(),
            partial,
            dropped,
        })
    }

    /// Appends the lines as they are stored: the JSON of [`LogLine`], one to a row.
    ///
    /// All that the lines share is written once and copied, which makes this several
    /// times faster than serializing each line.
    pub(crate) fn encode(&self, dropped: u64, rows: &mut Vec<u8>) -> serde_json::Result<()> {
        let middle = self.encode_middle()?;
        let mut dropped = dropped;
        for (index, (text, partial)) in self.lines.iter().enumerate() {
            let seq = seq_at(self.first_seq, index);
            write!(rows, "{{\"seq\":{seq}").map_err(serde_json::Error::io)?;
            rows.extend_from_slice(&middle);
            serde_json::to_writer(&mut *rows, &*String::from_utf8_lossy(text))?;
            if partial {
                rows.extend_from_slice(b",\"partial\":true");
            }
            if dropped > 0 {
                write!(rows, ",\"dropped\":{dropped}").map_err(serde_json::Error::io)?;
                dropped = 0;
            }
            rows.extend_from_slice(b"}\n");
        }
        Ok(())
    }

    fn encode_middle(&self) -> serde_json::Result<Vec<u8>> {
        let mut middle = b",\"time\":".to_vec();
        serde_json::to_writer(&mut middle, &self.time)?;
        for (key, name) in [("service", &self.source.service), ("process", &self.source.process)] {
            write!(middle, ",\"{key}\":").map_err(serde_json::Error::io)?;
            serde_json::to_writer(&mut middle, name)?;
        }
        write!(middle, ",\"replica\":{}", self.source.replica).map_err(serde_json::Error::io)?;
        if self.source.slot != Slot::default() {
            middle.extend_from_slice(b",\"slot\":");
            serde_json::to_writer(&mut middle, &self.source.slot)?;
        }
        middle.extend_from_slice(b",\"stream\":");
        serde_json::to_writer(&mut middle, &self.stream)?;
        middle.extend_from_slice(b",\"line\":");
        Ok(middle)
    }
}

#[cfg(test)]
mod tests {
    use super::super::framing::Framer;
    use super::*;

    /// The fast way and serde's way must stay one format.
    #[test]
    fn stored_rows_are_the_json_of_a_log_line() {
        let mut lines =
            Framer::new(16).push(b"plain\n\"quotes\" \\ \t\x1b[31m\ncut after sixteen b\n");
        assert_eq!(lines.len(), 5);
        for (lines, dropped) in
            [(std::mem::take(&mut lines), 3), (Framer::new(64).push(b"\xff\xfe not UTF-8\n"), 0)]
        {
            let source =
                LogSource::new("orders".parse().unwrap(), "web".parse().unwrap(), 2).beside();
            let batch = Batch {
                source: Arc::new(source),
                stream: LogStream::Stderr,
                time: "2026-11-24T10:00:00.123456789Z".parse().unwrap(),
                first_seq: 41,
                lines,
            };
            let mut rows = Vec::new();
            batch.encode(dropped, &mut rows).unwrap();
            let expected: String = (0..batch.lines.len())
                .map(|index| batch.line(index, if index == 0 { dropped } else { 0 }).unwrap())
                .map(|line| serde_json::to_string(&line).unwrap() + "\n")
                .collect();
            assert_eq!(String::from_utf8(rows).unwrap(), expected);
        }
    }
}
