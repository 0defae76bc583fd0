//! Reads archives of anybody: POSIX `pax` and `ustar`, and the long names of GNU tar.

use std::io::{self, Read};

use super::{BLOCK, Entry, Kind, PATH_MOST, checksum, padding};

/// The largest extended header that is read into memory. Attributes of files (`SCHILY.xattr.…`)
/// are most of it; Linux keeps at most 64 KiB of them per file.
const EXTENDED_MOST: u64 = 1024 * 1024;

/// The most entries of one archive.
const ENTRIES_MOST: u64 = 2_000_000;

/// The most headers that may come before one entry.
const HEADERS_MOST: usize = 8;

/// An archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    /// Its bytes cannot be had.
    #[error("the archive cannot be read")]
    Read(#[source] io::Error),
    /// It is no archive, or one of a kind that layers are not.
    #[error("the archive is wrong at byte {offset}: {what}")]
    Wrong { offset: u64, what: &'static str },
}

/// Reads one entry after another.
pub(crate) struct Reader<R> {
    inner: R,
    /// Bytes read so far.
    offset: u64,
    /// What is unread of the content of the last entry, and its padding.
    content: u64,
    padding: u64,
    entries: u64,
}

/// What extended headers say of the entry that follows.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, offset: 0, content: 0, padding: 0, entries: 0 }
    }

    /// Where the content of the last entry goes on, or the next header begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What it reads from.
    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    /// The next entry; `None` at the end of the archive.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        self.skip()?;
        let mut extended = Extended::default();
        for _ in 0..HEADERS_MOST {
            let at = self.offset;
            let Some(header) = self.header()? else { return Ok(None) };
            let wrong = |what| TarError::Wrong { offset: at, what };
            let size = number(&header, 124, 12).ok_or_else(|| wrong("a size is no number"))?;
            match header[156] {
                b'x' => {
                    let records = self.memory(size, EXTENDED_MOST)?;
                    read_records(&records, &mut extended).map_err(wrong)?;
                }
                // What is said of all entries is about no single one: a comment, mostly.
                b'g' => {
                    let records = self.memory(size, EXTENDED_MOST)?;
                    let mut global = Extended::default();
                    read_records(&records, &mut global).map_err(wrong)?;
                    if global.path.is_some() || global.link.is_some() || global.size.is_some() {
                        return Err(wrong("a global header names or measures all entries"));
                    }
                }
                b'L' => extended.path = Some(self.long_name(size)?),
                b'K' => extended.link = Some(self.long_name(size)?),
                flag => {
                    let entry = entry(&header, flag, size, extended).map_err(wrong)?;
                    self.entries += 1;
                    if self.entries > ENTRIES_MOST {
                        return Err(wrong("it has more than 2,000,000 entries"));
                    }
                    self.content = entry.size;
                    self.padding = padding(entry.size);
                    return Ok(Some(entry));
                }
            }
        }
        Err(TarError::Wrong { offset: self.offset, what: "too many headers before one entry" })
    }

    fn skip(&mut self) -> Result<(), TarError> {
        let left = self.content + self.padding;
        let skipped = io::copy(&mut self.inner.by_ref().take(left), &mut io::sink());
        let skipped = skipped.map_err(TarError::Read)?;
        self.offset += skipped;
        (self.content, self.padding) = (0, 0);
        if skipped < left {
            return Err(TarError::Wrong { offset: self.offset, what: "it ends within a file" });
        }
        Ok(())
    }

    /// The next header. `None` where the archive ends: at a block of zeros, or at the last byte.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let at = self.offset;
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TarError::Read(error)),
            }
        }
        self.offset += filled as u64;
        if filled == 0 || (filled == BLOCK && block == [0; BLOCK]) {
            return Ok(None);
        }
        let wrong = |what| TarError::Wrong { offset: at, what };
        if filled < BLOCK {
            return Err(wrong("it ends within a header"));
        }
        if number(&block, 148, 8) != Some(checksum(&block).into()) {
            return Err(wrong("the sum of a header is wrong: it is no tar archive, or damaged"));
        }
        Ok(Some(block))
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        let mut name = self.memory(size, PATH_MOST as u64)?;
        while name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    fn memory(&mut self, size: u64, most: u64) -> Result<Vec<u8>, TarError> {
        let at = self.offset;
        if size > most {
            return Err(TarError::Wrong {
                offset: at,
                what: "a name or extended header is too long",
            });
        }
        let mut bytes = Vec::new();
        let read = self.inner.by_ref().take(size).read_to_end(&mut bytes);
        self.offset += read.map_err(TarError::Read)? as u64;
        if (bytes.len() as u64) < size {
            return Err(TarError::Wrong { offset: at, what: "it ends within a header" });
        }
        self.padding = padding(size);
        self.skip()?;
        Ok(bytes)
    }
}

/// The content of the last entry.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.content).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        let read = self.inner.read(buffer)?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a file"));
        }
        self.offset += read as u64;
        self.content -= read as u64;
        Ok(read)
    }
}

fn entry(
    header: &[u8; BLOCK],
    flag: u8,
    size: u64,
    extended: Extended,
) -> Result<Entry, &'static str> {
    let mut path = extended.path.unwrap_or_else(|| name(header));
    let kind = match flag {
        // Archives from before POSIX have folders as files whose names end with a slash.
        0 | b'0' | b'7' if path.ends_with(b"/") => Kind::Folder,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharacterDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Folder,
        b'6' => Kind::Fifo,
        b'S' => return Err("it has a sparse file, which layers have not"),
        _ => return Err("it has an entry of an unknown kind"),
    };
    while path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    let link = extended.link.unwrap_or_else(|| field(header, 157, 100).to_vec());
    if path.is_empty() {
        return Err("an entry has no name");
    }
    if path.contains(&0) || link.contains(&0) {
        return Err("a name has a zero byte");
    }
    if path.len() > PATH_MOST || link.len() > PATH_MOST {
        return Err("a name is longer than Linux opens");
    }
    let read = |at, span, what| number(header, at, span).ok_or(what);
    let mode = read(100, 8, "a mode is no number")?;
    let has_content = kind == Kind::File;
    Ok(Entry {
        path,
        kind,
        mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
        uid: or(extended.uid, || read(108, 8, "an owner is no number"))?,
        gid: or(extended.gid, || read(116, 8, "a group is no number"))?,
        mtime: or(extended.mtime, || Ok(number(header, 136, 12).unwrap_or_default()))?,
        size: if has_content { extended.size.unwrap_or(size) } else { 0 },
        link: if matches!(kind, Kind::Symlink | Kind::HardLink) { link } else { Vec::new() },
    })
}

fn or(
    said: Option<u64>,
    otherwise: impl FnOnce() -> Result<u64, &'static str>,
) -> Result<u64, &'static str> {
    said.map_or_else(otherwise, Ok)
}

/// The name in a header. Only POSIX headers have a prefix; GNU's keep times there.
fn name(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = field(header, 0, 100);
    let is_posix = header.get(257..263) == Some(b"ustar\0");
    let prefix = if is_posix { field(header, 345, 155) } else { b"" };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// A field up to its first zero byte.
fn field(header: &[u8; BLOCK], at: usize, span: usize) -> &[u8] {
    let field = header.get(at..at + span).unwrap_or_default();
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal digits, or in GNU's way as bytes after one with its highest bit set.
fn number(header: &[u8; BLOCK], at: usize, span: usize) -> Option<u64> {
    let bytes = header.get(at..at + span)?;
    if let [0x80, rest @ ..] = bytes {
        let mut value = 0_u64;
        for byte in rest {
            value = value.checked_mul(256)?.checked_add(u64::from(*byte))?;
        }
        return Some(value);
    }
    let text = str::from_utf8(bytes).ok()?;
    let text = text.trim_matches(|letter| letter == ' ' || letter == '\0');
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn read_records(mut bytes: &[u8], extended: &mut Extended) -> Result<(), &'static str> {
    const BROKEN: &str = "an extended header is broken";
    while !bytes.is_empty() {
        let space = bytes.iter().take(20).position(|byte| *byte == b' ').ok_or(BROKEN)?;
        let digits = str::from_utf8(bytes.get(..space).unwrap_or_default()).ok();
        let length: usize = digits.and_then(|digits| digits.parse().ok()).ok_or(BROKEN)?;
        let record = bytes.get(space + 1..length).ok_or(BROKEN)?.strip_suffix(b"\n");
        let record = record.ok_or(BROKEN)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(BROKEN)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let whole = || {
            // Fractions of seconds are legal in times; nothing here needs them.
            let text = str::from_utf8(value).ok()?;
            text.split('.').next()?.parse::<u64>().ok()
        };
        match key {
            b"path" => extended.path = Some(value.to_vec()),
            b"linkpath" => extended.link = Some(value.to_vec()),
            b"size" => extended.size = Some(whole().ok_or("a size is no number")?),
            b"uid" => extended.uid = Some(whole().ok_or("an owner is no number")?),
            b"gid" => extended.gid = Some(whole().ok_or("a group is no number")?),
            b"mtime" => extended.mtime = Some(whole().unwrap_or_default()),
            key if key.starts_with(b"GNU.sparse.") => {
                return Err("it has a sparse file, which layers have not");
            }
            _ => {}
        }
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(())
}
