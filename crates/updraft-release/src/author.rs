//! Who does something, and when: it comes in, so that the same calls make the same records.

use jiff::Timestamp;

/// Who writes to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// As `user@host`; what is beyond [`Author::WHO_BYTES_MAX`] is cut off.
    pub who: String,
    /// The time of what is written.
    pub now: Timestamp,
}

impl Author {
    /// The longest name that is kept.
    pub const WHO_BYTES_MAX: usize = 256;

    /// The name as it is kept: one line of bounded length.
    pub(crate) fn name(&self) -> String {
        let end = self.who.floor_char_boundary(Self::WHO_BYTES_MAX);
        self.who[..end].chars().filter(|c| !c.is_control()).collect()
    }
}
