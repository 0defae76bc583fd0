//! The types that a variable can have: how its text is read, and how a person is told
//! what it should be.

mod list;
mod net;
mod number;
mod size;
mod time;

use std::path::{Path, PathBuf};

use super::Bounds;

pub use size::ByteSize;

/// A type that can be read from an environment variable.
///
/// The chassis has it for texts, truth values, characters, all numbers, time spans, points in
/// time and zones, byte sizes ([`ByteSize`]), paths, addresses, URLs, UUIDs,
/// [`Secret`](crate::Secret), and comma-separated lists of these. Derive it for an enum:
///
/// ```
/// use updraft::Variable;
///
/// #[derive(Variable, Debug, PartialEq)]
/// enum Region {
///     EuWest,
///     #[variable(name = "us")]
///     America,
/// }
///
/// assert_eq!(Region::parse("eu-west"), Ok(Region::EuWest));
/// assert_eq!(Region::parse("us"), Ok(Region::America));
/// assert_eq!(Region::parse("moon"), Err("is none of eu-west, us".to_owned()));
/// ```
pub trait Variable: Sized {
    /// What the text must be, to end the sentence "set it to …".
    const EXPECTED: &'static str;

    /// A text that people can copy; empty where none makes sense.
    const EXAMPLE: &'static str = "";

    /// Whether the whole text is a secret, of which nobody is shown more than that it is set.
    const SECRET: bool = false;

    /// Reads the text.
    ///
    /// # Errors
    ///
    /// What is wrong, to follow the variable's name. It must never repeat the text,
    /// which may be a secret or hold one.
    fn parse(text: &str) -> Result<Self, String>;

    /// How the value is shown to people: in the help text, by `config explain`, in the list of
    /// attachments. It must never show a secret: of a URL show its scheme, host, port and path
    /// alone.
    fn show(&self) -> String;

    /// [`Variable::EXPECTED`], for types that are made of others.
    fn expected() -> String {
        Self::EXPECTED.to_owned()
    }

    /// The same, of values within bounds such as `from 1 to 365`.
    fn expected_within(bounds: &Bounds) -> String {
        format!("{}, {bounds}", Self::expected())
    }

    /// The value, of which it is now known that it was read from this file. A type that can
    /// read it again keeps the path.
    fn of_file(self, _file: &Path) -> Self {
        self
    }
}

impl Variable for String {
    const EXPECTED: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        // Somebody may have a URL in a plain text, with a password in it.
        if self.contains("://") { net::shown_text(self) } else { self.clone() }
    }
}

impl Variable for bool {
    const EXPECTED: &'static str = "`true` or `false`";
    const EXAMPLE: &'static str = "true";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_not_bool| "is neither `true` nor `false`".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Variable for char {
    const EXPECTED: &'static str = "one character";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_not_char| "is not one character".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Variable for PathBuf {
    const EXPECTED: &'static str = "the path of a file or folder";

    fn parse(text: &str) -> Result<Self, String> {
        match text.contains('\0') {
            true => Err("is not a path".to_owned()),
            false => Ok(Self::from(text)),
        }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Variable for uuid::Uuid {
    const EXPECTED: &'static str = "a UUID such as 67e55044-10b1-426f-9247-bb680e5fe0c8";
    const EXAMPLE: &'static str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_not_uuid| "is not a UUID".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
