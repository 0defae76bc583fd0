//! The id of the executable that runs: the GNU build id that the linker wrote into it, found
//! by reading a few hundred bytes; where there is none, a hash of the whole file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// The most program headers that are looked at; executables have about a dozen.
const HEADERS_MOST: u16 = 128;

/// The longest segment of notes that is read, in bytes.
const NOTES_MOST: u64 = 64 * 1024;

/// `PT_NOTE` of the ELF specification.
const NOTES: u32 = 4;

/// `NT_GNU_BUILD_ID`.
const BUILD_ID: u32 = 3;

/// The id in hexadecimal digits; `None` where the executable cannot be read.
pub(super) fn id() -> Option<String> {
    // The link leads to the file that runs, also when another lies in its place by now.
    let mut file = File::open("/proc/self/exe")
        .or_else(|_no_proc| File::open(std::env::current_exe()?))
        .ok()?;
    build_id(&mut file).or_else(|| hash(&mut file))
}

/// The GNU build id of a 64-bit little-endian ELF file.
fn build_id(file: &mut (impl Read + Seek)) -> Option<String> {
    let mut header = [0; 64];
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_exact(&mut header).ok()?;
    // Magic number, 64 bits, little-endian.
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = u64_at(&header, 32)?;
    let (size, count) = (u16_at(&header, 54)?, u16_at(&header, 56)?.min(HEADERS_MOST));
    if size < 56 {
        return None;
    }
    (0..u64::from(count)).find_map(|number| {
        let mut entry = [0; 56];
        let place = table.checked_add(number.checked_mul(u64::from(size))?)?;
        file.seek(SeekFrom::Start(place)).ok()?;
        file.read_exact(&mut entry).ok()?;
        if u32_at(&entry, 0)? != NOTES {
            return None;
        }
        let (start, length) = (u64_at(&entry, 8)?, u64_at(&entry, 32)?.min(NOTES_MOST));
        let mut notes = Vec::new();
        file.seek(SeekFrom::Start(start)).ok()?;
        file.by_ref().take(length).read_to_end(&mut notes).ok()?;
        find(&notes)
    })
}

/// The build id among notes: each has the lengths of name and content, a type, and both,
/// which are filled up to four bytes.
fn find(mut notes: &[u8]) -> Option<String> {
    loop {
        let name = usize::try_from(u32_at(notes, 0)?).ok()?;
        let content = usize::try_from(u32_at(notes, 4)?).ok()?;
        let kind = u32_at(notes, 8)?;
        let content_at = 12_usize.checked_add(name.checked_next_multiple_of(4)?)?;
        let end = content_at.checked_add(content)?;
        if kind == BUILD_ID && notes.get(12..16) == Some(b"GNU\0") {
            let id = notes.get(content_at..end).filter(|id| id.len() >= 4)?;
            return Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
}

fn hash(file: &mut (impl Read + Seek)) -> Option<String> {
    file.seek(SeekFrom::Start(0)).ok()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).ok()?;
    Some(hasher.finalize().to_hex().to_string())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// A note with its filling.
    fn note(name: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut note = [length(name), length(content), kind.to_le_bytes()].concat();
        for part in [name, content] {
            note.extend_from_slice(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn the_build_id_is_found_among_other_notes() {
        let id = [0xab; 20];
        let notes =
            [note(b"GNU\0", 1, &[0; 16]), note(b"stapsdt\0", 3, &[1; 9]), note(b"GNU\0", 3, &id)]
                .concat();
        assert_eq!(find(&notes), Some("ab".repeat(20)));
        assert_eq!(find(&notes[..notes.len() - 4]), None);
        assert_eq!(find(&note(b"GNU\0", 1, &[0; 16])), None);
    }

    #[test]
    fn the_id_of_this_executable_is_the_one_that_readelf_says() {
        let own = std::env::current_exe().unwrap();
        let mut file = File::open(&own).unwrap();
        let found = build_id(&mut file);
        let Ok(told) = std::process::Command::new("readelf").arg("-n").arg(&own).output() else {
            return;
        };
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let told = told.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
        assert_eq!(found.as_deref(), told);
        assert!(id().is_some_and(|id| id.len() >= 8));
    }

    #[test]
    fn a_file_without_a_build_id_is_known_by_its_content() {
        let id = |content: &[u8]| {
            let mut file = Cursor::new(content);
            assert_eq!(build_id(&mut file), None);
            hash(&mut file).unwrap()
        };
        assert_ne!(id(b"one"), id(b"two"));
        assert_eq!(id(b"one").len(), 64);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let elf = [b"\x7fELF\x02\x01".as_slice(), &bytes].concat();
            drop(build_id(&mut Cursor::new(elf)));
            drop(find(&bytes));
        }
    }
}
