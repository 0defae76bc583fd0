//! What a program says of itself in its headers (System V ABI, ELF): who loads it, which
//! libraries it needs and where they are looked for.
//!
//! Only the few places that say it are read, so a program of any size costs the same.

use std::fs::File;
use std::io;

const MAGIC: &[u8] = b"\x7fELF";
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_NODEFLIB: u64 = 0x800;

/// The most segments of a program; compilers make about a dozen.
const SEGMENTS_MOST: u64 = 512;

/// The most entries of a dynamic section.
const DYNAMIC_MOST: u64 = 16_384;

/// The longest string, in bytes.
const STRING_MOST: usize = 16 * 1024;

/// The longest first line of a script that Linux reads.
const SCRIPT_MOST: usize = 256;

/// What a file is, for whoever starts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    Elf(Elf),
    /// A script with the program that reads it.
    Script(String),
    Other,
}

/// The headers of a program or library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elf {
    pub(super) machine: Machine,
    pub(super) interpreter: Option<String>,
    pub(super) needed: Vec<String>,
    pub(super) rpath: Vec<String>,
    pub(super) runpath: Vec<String>,
    /// It looks in no default folder.
    pub(super) no_defaults: bool,
}

/// What it runs on: word size, byte order and processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    class: u8,
    order: u8,
    processor: u16,
}

/// Bytes that can be read at any place.
pub(super) trait Image {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Image for File {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match std::os::unix::fs::FileExt::read_at(self, rest, at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl Image for [u8] {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        let rest = self.get(from..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), rest.get(..length)) {
            to.copy_from_slice(from);
        }
        Ok(length)
    }
}

/// Reads what a file is. An ELF file that is cut off or nonsense is an error.
pub(super) fn nature(image: &(impl Image + ?Sized)) -> io::Result<Nature> {
    let mut start = [0; SCRIPT_MOST];
    let read = image.read_at(0, &mut start)?;
    let start = start.get(..read).unwrap_or_default();
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line).trim().to_owned();
        return Ok(Nature::Script(line));
    }
    if !start.starts_with(MAGIC) {
        return Ok(Nature::Other);
    }
    let (Some([class @ (1 | 2), order @ (1 | 2)]), true) = (start.get(4..6), start.len() >= 52)
    else {
        return Err(broken("its header is cut off"));
    };
    let view = View { image, wide: *class == 2, big: *order == 2 };
    let processor = u16::try_from(view.number(18, 2)?).unwrap_or_default();
    let machine = Machine { class: *class, order: *order, processor };
    view.elf(machine).map(Nature::Elf)
}

struct View<'a, I: ?Sized> {
    image: &'a I,
    wide: bool,
    big: bool,
}

#[derive(Clone, Copy)]
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

impl<I: Image + ?Sized> View<'_, I> {
    fn elf(&self, machine: Machine) -> io::Result<Elf> {
        let segments = self.segments()?;
        let mut elf = Elf {
            machine,
            interpreter: None,
            needed: Vec::new(),
            rpath: Vec::new(),
            runpath: Vec::new(),
            no_defaults: false,
        };
        if let Some(segment) = segments.iter().find(|it| it.kind == PT_INTERP) {
            elf.interpreter = Some(self.string(segment.offset)?);
        }
        if let Some(segment) = segments.iter().find(|it| it.kind == PT_DYNAMIC) {
            self.dynamic(*segment, &segments, &mut elf)?;
        }
        Ok(elf)
    }

    fn segments(&self) -> io::Result<Vec<Segment>> {
        let word = if self.wide { 8 } else { 4 };
        let table = self.number(if self.wide { 32 } else { 28 }, word)?;
        let step = self.number(if self.wide { 54 } else { 42 }, 2)?;
        let count = self.number(if self.wide { 56 } else { 44 }, 2)?;
        if count > SEGMENTS_MOST {
            return Err(broken("it has more segments than any program"));
        }
        let mut segments = Vec::new();
        for number in 0..count {
            let at = table
                .checked_add(number * step)
                .ok_or_else(|| broken("its segments are nowhere"))?;
            let (offset, address, size) = if self.wide { (8, 16, 32) } else { (4, 8, 16) };
            let field = |field, size| match at.checked_add(field) {
                Some(at) => self.number(at, size),
                None => Err(broken("its segments are nowhere")),
            };
            segments.push(Segment {
                kind: field(0, 4)?,
                offset: field(offset, word)?,
                address: field(address, word)?,
                size: field(size, word)?,
            });
        }
        Ok(segments)
    }

    fn dynamic(&self, dynamic: Segment, segments: &[Segment], elf: &mut Elf) -> io::Result<()> {
        let word: u64 = if self.wide { 8 } else { 4 };
        let mut strings = None;
        let mut named = Vec::new();
        for number in 0..(dynamic.size / (2 * word)).min(DYNAMIC_MOST) {
            let at = dynamic.offset.saturating_add(number * 2 * word);
            let (tag, value) =
                (self.number(at, word)?, self.number(at.saturating_add(word), word)?);
            match tag {
                DT_NULL => break,
                DT_STRTAB => strings = Some(value),
                DT_NEEDED | DT_RPATH | DT_RUNPATH => named.push((tag, value)),
                DT_FLAGS_1 => elf.no_defaults = value & DF_1_NODEFLIB != 0,
                _ => {}
            }
        }
        if named.is_empty() {
            return Ok(());
        }
        // An address in memory; the segment that is loaded there says where it is in the file.
        let place = strings.and_then(|address| {
            let holds = |it: &&Segment| {
                it.kind == PT_LOAD && it.address <= address && address - it.address < it.size
            };
            let segment = segments.iter().find(holds)?;
            segment.offset.checked_add(address - segment.address)
        });
        let place = place.ok_or_else(|| broken("its names are nowhere"))?;
        for (tag, value) in named {
            let text = self.string(place.saturating_add(value))?;
            let folders = || text.split(':').map(str::to_owned).collect();
            match tag {
                DT_NEEDED => elf.needed.push(text),
                DT_RPATH => elf.rpath = folders(),
                _ => elf.runpath = folders(),
            }
        }
        // Loaders ignore the older of the two where both are there.
        if !elf.runpath.is_empty() {
            elf.rpath.clear();
        }
        Ok(())
    }

    fn number(&self, at: u64, size: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        let size = usize::try_from(size).unwrap_or(8).min(8);
        let field = if self.big { bytes.get_mut(8 - size..) } else { bytes.get_mut(..size) };
        if self.image.read_at(at, field.unwrap_or_default())? < size {
            return Err(broken("it is cut off"));
        }
        Ok(if self.big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    fn string(&self, at: u64) -> io::Result<String> {
        let mut bytes = vec![0; STRING_MOST];
        let read = self.image.read_at(at, &mut bytes)?;
        let bytes = bytes.get(..read).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0);
        let text = end.and_then(|end| String::from_utf8(bytes.get(..end)?.to_vec()).ok());
        text.ok_or_else(|| broken("a name in it has no end"))
    }
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
