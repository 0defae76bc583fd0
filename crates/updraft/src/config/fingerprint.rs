//! What of a configuration makes it another release, in 32 bits.

use super::declared::{Origin, Outcome};
use super::{Config, Declared};

impl Config {
    /// The first 32 bits of the BLAKE3 hash of what is set, in hexadecimal digits: names, and
    /// values as they may be shown. So it tells of a secret only that it is there, and of an
    /// attachment only where it is. Defaults belong to the build, and what differs from
    /// process to process of one release, such as `PORT`, to none.
    pub(crate) fn fingerprint(&self) -> String {
        let mut set: Vec<(&str, &str)> =
            self.declared().iter().filter_map(|it| self.counted(it)).collect();
        set.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        for (name, value) in set {
            // With its length before it no text can be taken for two.
            for text in [name, value] {
                hasher.update(&text.len().to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        hasher.finalize().to_hex().as_str().chars().take(8).collect()
    }

    fn counted<'a>(&self, declared: &'a Declared) -> Option<(&'a str, &'a str)> {
        if self.per_process.contains(&declared.variable) {
            return None;
        }
        match &declared.outcome {
            Outcome::Value { shown, origin: Origin::Environment | Origin::File } => {
                Some((declared.variable, shown))
            }
            _ => None,
        }
    }
}
