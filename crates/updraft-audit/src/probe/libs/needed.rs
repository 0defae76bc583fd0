//! What an ELF file is linked with (`elf(5)`): the `DT_NEEDED` entries of its dynamic section.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
/// The longest name of a library.
const NAME_BYTES_MAX: usize = 256;
/// More entries has no file that is what it says.
const ENTRIES_MAX: u64 = 4096;

/// The names; none of what is no ELF file of 64 bits in this machine's byte order.
pub(super) fn of(path: &Path) -> Vec<String> {
    File::open(path).ok().and_then(|file| read(&file)).unwrap_or_default()
}

/// A part of a file, and where it lies in memory.
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

fn read(file: &File) -> Option<Vec<String>> {
    let mut magic = [0; 6];
    file.read_exact_at(&mut magic, 0).ok()?;
    // Class 2 has 64 bits.
    let little = if cfg!(target_endian = "little") { 1 } else { 2 };
    if magic != [0x7f, b'E', b'L', b'F', 2, little] {
        return None;
    }
    let (table, size, count) = (word(file, 32)?, half(file, 54)?, half(file, 56)?);
    let segments: Option<Vec<Segment>> =
        (0..count).map(|number| segment(file, table.checked_add(number * size)?)).collect();
    let segments = segments?;
    let dynamic = segments.iter().find(|segment| segment.kind == PT_DYNAMIC)?;
    let (mut names, mut strings) = (Vec::new(), None);
    for number in 0..(dynamic.size / 16).min(ENTRIES_MAX) {
        let at = dynamic.offset.checked_add(number * 16)?;
        let (tag, value) = (word(file, at)?, word(file, at.checked_add(8)?)?);
        match tag {
            0 => break,
            DT_NEEDED => names.push(value),
            DT_STRTAB => strings = Some(value),
            _ => {}
        }
    }
    let strings = strings?;
    let holds = |segment: &&Segment| {
        segment.kind == PT_LOAD
            && strings.checked_sub(segment.address).is_some_and(|within| within < segment.size)
    };
    let home = segments.iter().find(holds)?;
    let strings = strings - home.address + home.offset;
    Some(names.iter().filter_map(|name| text(file, strings.checked_add(*name)?)).collect())
}

fn segment(file: &File, at: u64) -> Option<Segment> {
    let kind = {
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, at).ok()?;
        u64::from(u32::from_ne_bytes(bytes))
    };
    let field = |offset: u64| word(file, at.checked_add(offset)?);
    Some(Segment { kind, offset: field(8)?, address: field(16)?, size: field(32)? })
}

fn word(file: &File, at: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(u64::from_ne_bytes(bytes))
}

fn half(file: &File, at: u64) -> Option<u64> {
    let mut bytes = [0; 2];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(u64::from(u16::from_ne_bytes(bytes)))
}

fn text(file: &File, at: u64) -> Option<String> {
    let mut bytes = [0; NAME_BYTES_MAX];
    let count = file.read_at(&mut bytes, at).ok()?;
    let end = bytes.iter().take(count).position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
}
