//! Archives in the format of POSIX.1-2017 `pax`, the only one in which OCI layers come.
//!
//! Own code, because a layer must be the same bytes each time, and because archives of others
//! are read with a bound on everything that they can make us keep in memory.

mod read;
mod write;

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

pub(crate) use read::Reader;
pub(crate) use write::Writer;

/// Archives are made of blocks of so many bytes.
pub(crate) const BLOCK: usize = 512;

/// The longest path that is read; Linux opens no longer one.
pub(crate) const PATH_MOST: usize = 4096;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Symlink,
    HardLink,
    CharacterDevice,
    BlockDevice,
    Fifo,
}

/// An entry of an archive without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As it is written in the archive, but without a slash at the end.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds of Unix time.
    pub(crate) mtime: u64,
    /// Of the content that follows, in bytes.
    pub(crate) size: u64,
    /// Where a link leads.
    pub(crate) link: Vec<u8>,
}

impl Kind {
    /// In words, for messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::Symlink => "symbolic link",
            Self::HardLink => "hard link",
            Self::CharacterDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Fifo => "named pipe",
        }
    }

    fn flag(self) -> u8 {
        match self {
            Self::File => b'0',
            Self::HardLink => b'1',
            Self::Symlink => b'2',
            Self::CharacterDevice => b'3',
            Self::BlockDevice => b'4',
            Self::Folder => b'5',
            Self::Fifo => b'6',
        }
    }
}

/// The bytes between the end of a content and the next block.
fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

/// The sum of a header, in which the field of the sum itself counts as spaces.
fn checksum(header: &[u8; BLOCK]) -> u32 {
    let bytes = header.iter().enumerate();
    bytes.map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum()
}
