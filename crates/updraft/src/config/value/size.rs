//! Sizes in bytes, with their units.

use super::Variable;

/// Units by their names: the powers of 1024 of IEC 80000-13 and the powers of 1000 of the SI.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// A size in bytes, written with its unit: `64KiB`, `10MB`, `512B`. A number alone is bytes.
///
/// ```
/// use updraft::{ByteSize, Variable};
///
/// assert_eq!(ByteSize::parse("64KiB").map(|size| size.bytes()), Ok(65_536));
/// assert_eq!(ByteSize::new(1_048_576).show(), "1MiB");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// A size of so many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Variable for ByteSize {
    const EXPECTED: &'static str = "a size such as 64KiB, 10MB or 512B";
    const EXAMPLE: &'static str = "64KiB";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not a size: a whole number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB";
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = match unit.trim_start() {
            "" => 1,
            "KB" => 1_000,
            unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
        };
        if number.is_empty() {
            return Err(wrong().to_owned());
        }
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        bytes.map(Self).ok_or_else(|| "is out of range".to_owned())
    }

    fn show(&self) -> String {
        let fits = |(_, size): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*size);
        let best = UNITS.iter().filter(fits).max_by_key(|(_, size)| *size);
        best.map_or_else(
            || format!("{}B", self.0),
            |(name, size)| format!("{}{name}", self.0 / size),
        )
    }
}
