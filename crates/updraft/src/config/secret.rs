//! A text that is never shown.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::environment::{FileError, read_file};
use super::{SECRET, Variable};

/// A secret text: a key, a password, a token. It prints as `[secret]`, has no form in JSON,
/// and its memory is overwritten when it is dropped.
///
/// It is read from `NAME`, or from the file that `NAME_FILE` names. The second is better:
/// an environment is seen by each child of the process and in crash reports, and a file can
/// change while the process runs, which [`Secret::current`] takes note of.
///
/// ```
/// use updraft::{Config, Secret};
///
/// let variables = [("MAIL_KEY".to_owned(), "s3cr3t".to_owned())];
/// let mut config = Config::from_variables(variables);
/// let key: Secret = config.require("MAIL_KEY", "the key of the mail provider")?;
/// assert_eq!(key.expose(), "s3cr3t");
/// assert_eq!(format!("{key} {key:?}"), "[secret] [secret]");
/// # Ok::<(), updraft::Invalid>(())
/// ```
#[derive(Clone)]
pub struct Secret {
    text: SecretString,
    /// The file it came from.
    file: Option<Arc<PathBuf>>,
}

/// The file of a secret cannot be read again.
#[derive(Debug, thiserror::Error)]
#[error("a secret cannot be read again")]
pub struct SecretError(#[source] FileError);

impl Secret {
    /// A secret that is there already.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: SecretString::from(text.into()), file: None }
    }

    /// The text as it was when the process started. Give it to what needs it, and to nothing
    /// else.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// The secret as it is now: the file that it came from is read again, so that a secret
    /// that was exchanged holds from the next connection on. One from a variable stays as it
    /// is. Call it when you connect, not for each request: it reads a file of at most 64 KiB.
    ///
    /// # Errors
    ///
    /// When the file is away or is no text any more; the old secret may still be good.
    pub fn current(&self) -> Result<Self, SecretError> {
        let Some(path) = &self.file else { return Ok(self.clone()) };
        let text = read_file(path).map_err(SecretError)?;
        Ok(Self { text: SecretString::from(text), file: self.file.clone() })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECRET)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECRET)
    }
}

impl Variable for Secret {
    const EXPECTED: &'static str = "a secret text, or better its _FILE to a file with it";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }

    fn show(&self) -> String {
        SECRET.to_owned()
    }

    fn of_file(self, file: &Path) -> Self {
        Self { file: Some(Arc::new(file.to_owned())), ..self }
    }
}
