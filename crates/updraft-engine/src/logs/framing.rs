//! Turns the bytes of a pipe into lines, however the bytes were cut on their way.
//!
//! No I/O and no clock: the caller brings the bytes and says when time is up.

use std::io::BufRead;

/// The lines of one read, their text in one allocation, because a line of its own
/// allocation would cost more than all other work on it.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    text: Vec<u8>,
    ends: Vec<PieceEnd>,
}

#[derive(Clone, Copy, Debug)]
struct PieceEnd {
    end: u32,
    partial: bool,
}

impl Pieces {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The memory held, which is what the rings and queues are bounded by.
    pub(crate) fn size_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<PieceEnd>()
    }

    /// The text of line `index`, and whether its rest follows.
    pub(crate) fn get(&self, index: usize) -> Option<(&[u8], bool)> {
        let PieceEnd { end, partial } = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].end);
        Some((&self.text[start as usize..end as usize], partial))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], bool)> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    fn push(&mut self, line: &[u8], partial: bool) {
        self.text.extend_from_slice(line);
        self.end_line(partial);
    }

    fn end_line(&mut self, partial: bool) {
        // A batch holds one read and one carried line, both far below 4 GiB.
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.ends.push(PieceEnd { end, partial });
    }
}

/// Cuts a stream of bytes at its line feeds, and at `line_bytes_max` where none comes.
#[derive(Debug)]
pub(crate) struct Framer {
    line_bytes_max: usize,
    /// The start of a line whose end has not been read. Invariant: at most `line_bytes_max`.
    pending: Vec<u8>,
    /// The line in `pending` has given a partial piece already.
    continued: bool,
}

impl Framer {
    pub(crate) fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max: line_bytes_max.max(1), pending: Vec::new(), continued: false }
    }

    /// Whether the start of a line waits for its end.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes what was read; gives the lines that ended in it.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Pieces {
        let mut pieces = Pieces::default();
        if bytes.contains(&b'\n') || self.pending.len() + bytes.len() > self.line_bytes_max {
            pieces.text.reserve(self.pending.len() + bytes.len());
            // Lines of logs are rarely shorter than this, so that the list rarely grows.
            pieces.ends.reserve(bytes.len().div_ceil(64));
        }
        while !bytes.is_empty() {
            // `skip_until` is the standard library's way to its fast `memchr`.
            let mut rest = bytes;
            let taken = rest.skip_until(b'\n').unwrap_or(bytes.len());
            let piece = &bytes[..taken];
            bytes = rest;
            match piece.split_last() {
                Some((b'\n', line)) => self.end_line(line, &mut pieces),
                _ => self.carry(piece, &mut pieces),
            }
        }
        pieces
    }

    /// Gives the start of a line whose end has not come in time. A character that is
    /// not complete stays, so that no reader sees half of it.
    pub(crate) fn flush_partial(&mut self) -> Pieces {
        let mut pieces = Pieces::default();
        let cut = self.pending.len() - incomplete_suffix(&self.pending);
        if cut > 0 {
            pieces.push(&self.pending[..cut], true);
            self.pending.drain(..cut);
            self.continued = true;
        }
        pieces
    }

    /// Gives what is left when nothing will follow.
    pub(crate) fn finish(&mut self) -> Pieces {
        let mut pieces = Pieces::default();
        if self.has_pending() || self.continued {
            self.end_line(&[], &mut pieces);
        }
        pieces
    }

    fn end_line(&mut self, rest: &[u8], pieces: &mut Pieces) {
        if self.pending.len() + rest.len() <= self.line_bytes_max {
            pieces.text.extend_from_slice(&self.pending);
            pieces.push(rest, false);
        } else {
            self.carry(rest, pieces);
            pieces.push(&self.pending, false);
        }
        self.pending.clear();
        self.continued = false;
    }

    /// Appends to the pending line. It is cut only when it is *longer* than the cap, not
    /// as long: whether a line is cut must not depend on where a read happened to end.
    fn carry(&mut self, bytes: &[u8], pieces: &mut Pieces) {
        self.pending.extend_from_slice(bytes);
        let mut start = 0;
        while self.pending.len() - start > self.line_bytes_max {
            let full = &self.pending[start..start + self.line_bytes_max];
            let whole = full.len() - incomplete_suffix(full);
            let cut = if whole == 0 { full.len() } else { whole };
            pieces.push(&self.pending[start..start + cut], true);
            start += cut;
            self.continued = true;
        }
        self.pending.drain(..start);
    }
}

/// How many bytes at the end begin a UTF-8 character and do not complete it.
fn incomplete_suffix(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(4)..];
    for (length, &byte) in (1..).zip(tail.iter().rev()) {
        let expected = match byte {
            0b1100_0000..0b1110_0000 => 2,
            0b1110_0000..0b1111_0000 => 3,
            0b1111_0000..0b1111_1000 => 4,
            0b1000_0000..0b1100_0000 => continue,
            _ => 0,
        };
        return if length < expected { length } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(pieces: &Pieces, into: &mut Vec<(Vec<u8>, bool)>) {
        into.extend(pieces.iter().map(|(text, partial)| (text.to_vec(), partial)));
    }

    fn frame(line_bytes_max: usize, chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut framer = Framer::new(line_bytes_max);
        let mut lines = Vec::new();
        for chunk in chunks {
            collect(&framer.push(chunk), &mut lines);
        }
        collect(&framer.finish(), &mut lines);
        lines
    }

    fn shown(lines: &[(Vec<u8>, bool)]) -> Vec<String> {
        let mark = |partial: &bool| if *partial { "+" } else { "" };
        lines
            .iter()
            .map(|(text, partial)| format!("{}{}", String::from_utf8_lossy(text), mark(partial)))
            .collect()
    }

    #[test]
    fn lines_of_a_table() {
        let cases: &[(&[&str], &[&str])] = &[
            (&[], &[]),
            (&["one\n"], &["one"]),
            (&["one\ntwo\n"], &["one", "two"]),
            (&["one\ntw", "o\n"], &["one", "two"]),
            (&["\n\n"], &["", ""]),
            (&["no end"], &["no end"]),
            (&["a\r\nb"], &["a\r", "b"]),
            (&["12345678\n"], &["12345678"]),
            (&["12345678", "\n"], &["12345678"]),
            (&["123456789\n"], &["12345678+", "9"]),
            (&["12345678", "9", "\n"], &["12345678+", "9"]),
            (&["1234567812345678\n"], &["12345678+", "12345678"]),
            (&["12345678123456781\nx"], &["12345678+", "12345678+", "1", "x"]),
            // The cap falls into the `é`, which stays whole.
            (&["1234567éx\n"], &["1234567+", "éx"]),
        ];
        for (chunks, expected) in cases {
            let chunks: Vec<&[u8]> = chunks.iter().map(|chunk| chunk.as_bytes()).collect();
            assert_eq!(shown(&frame(8, &chunks)), *expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_line_that_does_not_end_in_time_is_given_in_pieces() {
        let mut framer = Framer::new(64);
        let mut lines = Vec::new();
        collect(&framer.push("prompt> caf\u{e9}".as_bytes().split_last().unwrap().1), &mut lines);
        collect(&framer.flush_partial(), &mut lines);
        assert!(framer.has_pending(), "the first byte of the é waits for its second");
        collect(&framer.flush_partial(), &mut lines);
        collect(&framer.push(b"\xa9\n"), &mut lines);
        assert_eq!(shown(&lines), ["prompt> caf+", "é"]);

        // A partial piece promises a rest, so there is one, if an empty one.
        collect(&framer.push(b"password: "), &mut lines);
        collect(&framer.flush_partial(), &mut lines);
        collect(&framer.finish(), &mut lines);
        assert_eq!(shown(&lines[2..]), ["password: +", ""]);
    }

    proptest! {
        /// The law: lines depend on the bytes alone, not on how reads cut them.
        #[test]
        fn any_chunking_gives_the_same_lines(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'a'), Just(0xc3), Just(0xa9), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0_usize..200, 0..20),
            cap in 1_usize..24,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let lines = frame(cap, &chunks);
            prop_assert_eq!(&lines, &frame(cap, &[&bytes]));

            // Nothing is lost or made up: pieces joined again are the input.
            let mut joined = Vec::new();
            for (text, partial) in &lines {
                prop_assert!(text.len() <= cap);
                joined.extend_from_slice(text);
                if !partial {
                    joined.push(b'\n');
                }
            }
            let mut expected = bytes.clone();
            if !expected.is_empty() && expected.last() != Some(&b'\n') {
                expected.push(b'\n');
            }
            prop_assert_eq!(joined, expected);
        }
    }
}
