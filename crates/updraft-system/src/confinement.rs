//! What a program may use and do: its limits, where it may write, what it may ask of the kernel.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is declared of a program's confinement. The default is a program without limits that
/// writes wherever its user may, and has no capability.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confinement {
    /// What it may use at most.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// The only files and folders where it may write, relative to its service, beside what its
    /// resources and its private temporary folder are. `None`: wherever its user may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writable: Option<Vec<PathBuf>>,
    /// What it keeps of the powers of root, by the names of `capabilities(7)` without `CAP_`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
}

/// What a program and its descendants may use together, at most. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Thousandths of the time of one processor core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_millicores: Option<u32>,
    /// Open files of each process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
}

/// What holds for a program that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfinementStatus {
    /// The limits that hold.
    pub limits: Limits,
    /// Whether nothing that it runs can gain privileges (`PR_SET_NO_NEW_PRIVS`).
    pub no_new_privileges: bool,
    /// The capabilities that it can have; `null`: they were left as they are.
    pub capabilities: Option<Vec<String>>,
    /// What is its own of the places for temporary files.
    pub temporary: TemporaryStatus,
    /// Where it may write; `null`: wherever its user may.
    pub writable: Option<Vec<PathBuf>>,
    /// Whether all file systems are read-only for it, but for where it may write.
    pub read_only: bool,
    /// What is meant to hold and does not, each with its reason. Empty: all holds.
    pub lacking: Vec<String>,
}

/// What is a program's own of the places for temporary files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemporaryStatus {
    /// Nothing.
    #[default]
    Shared,
    /// The folder that `TMPDIR` names.
    Tmpdir,
    /// `/tmp` itself.
    Private,
}

/// Thousandths of a core in a core.
const MILLI: u64 = 1000;
/// The units of memory; those of Kubernetes beside those of the IEC.
const UNITS: [(&str, u32); 8] = [
    ("KiB", 10),
    ("Ki", 10),
    ("MiB", 20),
    ("Mi", 20),
    ("GiB", 30),
    ("Gi", 30),
    ("TiB", 40),
    ("Ti", 40),
];

impl Limits {
    /// Less memory than a program needs to begin.
    pub const MEMORY_LEAST: u64 = 6 << 20;
    /// More memory than there is.
    pub const MEMORY_MOST: u64 = 1024 << 40;
    /// The least that the kernel gives: 1 ms in each 100 ms.
    pub const CPU_LEAST: u32 = 10;
    /// More cores than there are.
    pub const CPU_MOST: u32 = 1_024_000;

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Bytes from a text such as `256MiB` or `1.5Gi`, within [`Self::MEMORY_LEAST`] and
    /// [`Self::MEMORY_MOST`]. `M` and `MB` are not taken: they are 1000² to Kubernetes and 1024²
    /// to systemd and Compose.
    pub fn memory(text: &str) -> Option<u64> {
        let (number, shift) =
            UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))?;
        let thousandths = thousandths(number.trim_end())?;
        let bytes = thousandths.checked_mul(1 << shift)? / MILLI;
        (Self::MEMORY_LEAST..=Self::MEMORY_MOST).contains(&bytes).then_some(bytes)
    }

    /// Thousandths of a core from a text: cores such as `0.5`, Kubernetes' `500m`, or a share of
    /// one core as systemd has it, `50%`. Within [`Self::CPU_LEAST`] and [`Self::CPU_MOST`].
    pub fn cpu(text: &str) -> Option<u32> {
        let milli = if let Some(milli) = text.strip_suffix('m') {
            digits(milli)?
        } else if let Some(percent) = text.strip_suffix('%') {
            thousandths(percent.trim_end())? / 100
        } else {
            thousandths(text)?
        };
        let milli = u32::try_from(milli).ok()?;
        (Self::CPU_LEAST..=Self::CPU_MOST).contains(&milli).then_some(milli)
    }
}

/// An amount of memory in the largest unit in which it is a whole number: `256 MiB`.
pub fn memory_in_words(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |shift: u32| bytes != 0 && bytes.trailing_zeros() >= shift;
    match units.into_iter().find(|(shift, _)| whole(*shift)) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} bytes"),
    }
}

/// Thousandths of a core as cores: `0.5`.
pub fn cores_in_words(milli: u32) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A decimal number of at most three places, times 1000.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let length = u32::try_from(places.len()).ok().filter(|length| (1..=3).contains(length))?;
    let places = digits(places)? * 10_u64.pow(3 - length);
    digits(whole)?.checked_mul(MILLI)?.checked_add(places)
}

fn digits(text: &str) -> Option<u64> {
    // `parse` alone would take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_have_a_unit_that_means_one_thing() {
        for (text, bytes) in [
            ("256MiB", 256 << 20),
            ("256Mi", 256 << 20),
            ("256 MiB", 256 << 20),
            ("1.5GiB", 1536 << 20),
            ("0.125Gi", 128 << 20),
            ("6144KiB", 6 << 20),
            ("1024TiB", 1024 << 40),
        ] {
            assert_eq!(Limits::memory(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "MiB",
            "256",
            "256M",
            "256MB",
            "256m",
            "256mib",
            "-1GiB",
            "+1GiB",
            "1.GiB",
            ".5GiB",
            "1.2345GiB",
            "1e3MiB",
            "5MiB",
            "1025TiB",
            "99999999999999999999GiB",
            "1,5GiB",
            "1 G iB",
        ] {
            assert_eq!(Limits::memory(text), None, "{text}");
        }
    }

    #[test]
    fn cores_are_a_number_a_share_or_thousandths() {
        for (text, milli) in [
            ("0.5", 500),
            ("2", 2000),
            ("50%", 500),
            ("150%", 1500),
            ("2.5%", 25),
            ("500m", 500),
            ("10m", 10),
            ("1024", 1_024_000),
        ] {
            assert_eq!(Limits::cpu(text), Some(milli), "{text}");
        }
        for text in ["", "m", "%", "0", "9m", "0.9%", "1025", "-1", "+1", "0.5 cores", "1e3", "nan"]
        {
            assert_eq!(Limits::cpu(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_said_of_a_limit_is_what_was_written() {
        for (text, words) in [("256MiB", "256 MiB"), ("1.5GiB", "1536 MiB"), ("2Ti", "2 TiB")] {
            assert_eq!(Limits::memory(text).map(memory_in_words).as_deref(), Some(words));
        }
        assert_eq!(memory_in_words(6_291_457), "6291457 bytes");
        for (text, words) in [("50%", "0.5"), ("2", "2"), ("1250m", "1.25"), ("10m", "0.01")] {
            assert_eq!(Limits::cpu(text).map(cores_in_words).as_deref(), Some(words));
        }
    }
}
