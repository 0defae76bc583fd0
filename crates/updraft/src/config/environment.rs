//! The variables that a process was given, and the files that they name.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The longest file that a variable is read from, in bytes.
pub(super) const FILE_MOST: u64 = 64 * 1024;

/// The variables of a process.
pub(super) struct Environment(BTreeMap<String, OsString>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What there is of a variable.
pub(super) enum Found {
    Nothing,
    Text(String),
    /// From the file that `NAME_FILE` names.
    File {
        text: String,
        path: PathBuf,
    },
    /// It is wrong before its text is looked at.
    Wrong(&'static str),
    /// `NAME_FILE` is wrong.
    WrongFile(FileError),
}

impl Environment {
    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        // `PORT=` in a shell means "not set" to most people. No variable of ours has a name
        // that is not Unicode.
        let set = variables.into_iter().filter(|(_, value)| !value.is_empty());
        Self(set.filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str)
    }

    /// Looks for a variable. A `NAME_FILE` that `is_other` is a variable of its own.
    pub(super) fn find(&self, variable: &'static str, is_other: impl Fn(&str) -> bool) -> Found {
        let file_variable = format!("{variable}_FILE");
        let file = self.get(&file_variable).filter(|_| !is_other(&file_variable));
        match (self.get(variable), file) {
            (None, None) => Found::Nothing,
            (Some(_), Some(_)) => {
                Found::Wrong("is set twice: with _FILE behind it too, and one of the two must go")
            }
            (Some(value), None) => match value.to_str() {
                Some(text) => Found::Text(text.to_owned()),
                None => Found::Wrong("is not Unicode text"),
            },
            (None, Some(path)) => match read_file(Path::new(path)) {
                Ok(text) => Found::File { text, path: path.into() },
                Err(error) => Found::WrongFile(error),
            },
        }
    }
}

/// Why a file with a value cannot be used, to follow the name of its variable.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("names a file that is not there")]
    Missing(#[source] std::io::Error),
    #[error("names a file that this user may not read")]
    Forbidden(#[source] std::io::Error),
    #[error("names a file that cannot be read")]
    Unreadable(#[source] std::io::Error),
    #[error("names something that is not a regular file")]
    NoFile,
    #[error("names a file that is empty")]
    Empty,
    #[error("names a file of more than {FILE_MOST} bytes")]
    TooLong,
    #[error("names a file that is not Unicode text")]
    NotText,
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::Missing(error),
            ErrorKind::PermissionDenied => Self::Forbidden(error),
            _ => Self::Unreadable(error),
        }
    }
}

/// The text of a file, without one line feed at its end.
pub(super) fn read_file(path: &Path) -> Result<String, FileError> {
    // Opening a pipe would wait for somebody to write to it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(FileError::NoFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MOST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| FILE_MOST < length) {
        return Err(FileError::TooLong);
    }
    let mut text = String::from_utf8(bytes).ok().ok_or(FileError::NotText)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err(FileError::Empty) } else { Ok(text) }
}
