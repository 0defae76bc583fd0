//! Writes archives: for equal entries equal bytes, in blocks cut at the same places.

use std::io::{self, Read, Write};

use super::{BLOCK, Entry, Kind, checksum, padding};

/// Contents pass in pieces of this size, always full ones: a compressor may write other bytes
/// when the same bytes come in other pieces.
const PIECE: usize = 64 * 1024;

/// The largest number in the eleven octal digits of a header.
const OCTAL_MOST: u64 = 0o777_7777_7777;

/// The largest number in the seven octal digits of a header.
const SHORT_OCTAL_MOST: u64 = 0o777_7777;

const NAME_SPAN: usize = 100;
const PREFIX_SPAN: usize = 155;

/// The name of all extended headers. Readers look at what they hold, never at it.
const EXTENDED_NAME: &[u8] = b"PaxHeaders.0/entry";

/// Writes an archive.
pub(crate) struct Writer<W> {
    inner: W,
    piece: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, piece: vec![0; PIECE] }
    }

    /// Writes one entry; `content` must give exactly the bytes that the entry promises.
    pub(crate) fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        let name = match entry.kind {
            Kind::Folder => [&entry.path, b"/".as_slice()].concat(),
            _ => entry.path.clone(),
        };
        let split = split(&name);
        let records = records(entry, &name, split.is_some());
        if !records.is_empty() {
            let size = records.len() as u64;
            let extended = Header { name: EXTENDED_NAME, prefix: b"", flag: b'x', size, entry };
            self.inner.write_all(&extended.block())?;
            self.inner.write_all(&records)?;
            self.pad(size)?;
        }
        let (prefix, name) = split.unwrap_or((b"", name.get(..NAME_SPAN).unwrap_or(&name)));
        let header = Header { name, prefix, flag: entry.kind.flag(), size: entry.size, entry };
        self.inner.write_all(&header.block())?;
        self.content(entry.size, content)?;
        self.pad(entry.size)
    }

    /// Writes the end of the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&[0; 2 * BLOCK])?;
        Ok(self.inner)
    }

    fn content(&mut self, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let mut left = size;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let piece = self.piece.get_mut(..length).unwrap_or_default();
            content.read_exact(piece)?;
            self.inner.write_all(piece)?;
            left -= length as u64;
        }
        if content.read(&mut [0])? != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it has grown"));
        }
        Ok(())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let length = usize::try_from(padding(size)).unwrap_or_default();
        self.inner.write_all([0; BLOCK].get(..length).unwrap_or_default())
    }
}

/// What of `name` fits into a header, as prefix and name. `None` where an extended header has
/// to carry it: it is too long, or not ASCII, whose reading is not defined there.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= NAME_SPAN {
        return Some((b"", name));
    }
    let slash = |at: &usize| name.get(*at) == Some(&b'/');
    let at = (1..name.len().min(PREFIX_SPAN + 1)).rev().find(slash)?;
    let (prefix, rest) = (name.get(..at)?, name.get(at + 1..)?);
    (!rest.is_empty() && rest.len() <= NAME_SPAN).then_some((prefix, rest))
}

/// What no header can hold, as records of an extended header.
fn records(entry: &Entry, name: &[u8], name_fits: bool) -> Vec<u8> {
    let mut records = Vec::new();
    if !name_fits {
        record(&mut records, "path", name);
    }
    if entry.link.len() > NAME_SPAN || !entry.link.is_ascii() {
        record(&mut records, "linkpath", &entry.link);
    }
    let numbers = [
        ("size", entry.size, OCTAL_MOST),
        ("uid", entry.uid, SHORT_OCTAL_MOST),
        ("gid", entry.gid, SHORT_OCTAL_MOST),
        ("mtime", entry.mtime, OCTAL_MOST),
    ];
    for (key, value, most) in numbers {
        if value > most {
            record(&mut records, key, value.to_string().as_bytes());
        }
    }
    records
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

struct Header<'a> {
    name: &'a [u8],
    prefix: &'a [u8],
    flag: u8,
    size: u64,
    entry: &'a Entry,
}

impl Header<'_> {
    fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let link = self.entry.link.get(..NAME_SPAN).unwrap_or(&self.entry.link);
        let is_extended = self.flag == b'x';
        put(&mut block, 0, self.name);
        put(&mut block, 100, &octal(self.entry.mode.into(), 7));
        put(&mut block, 108, &octal(self.entry.uid, 7));
        put(&mut block, 116, &octal(self.entry.gid, 7));
        put(&mut block, 124, &octal(self.size, 11));
        put(&mut block, 136, &octal(self.entry.mtime, 11));
        put(&mut block, 156, &[self.flag]);
        put(&mut block, 157, if is_extended { b"" } else { link });
        put(&mut block, 257, b"ustar\x0000");
        put(&mut block, 345, self.prefix);
        let sum = octal(checksum(&block).into(), 6);
        put(&mut block, 148, &sum);
        put(&mut block, 154, b"\0 ");
        block
    }
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    if let Some(field) = block.get_mut(at..at + bytes.len()) {
        field.copy_from_slice(bytes);
    }
}

/// So many octal digits; zeros for what does not fit, which an extended header carries.
fn octal(value: u64, digits: usize) -> Vec<u8> {
    let text = format!("{value:0digits$o}");
    if text.len() > digits { vec![b'0'; digits] } else { text.into_bytes() }
}
