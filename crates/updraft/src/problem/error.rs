//! Any error of the service's own, on its way to the log.

use std::error::Error as StdError;
use std::fmt;

use crate::BoxError;

/// Any error, so that `?` is right in every handler. Whoever answers a request with it tells
/// the caller nothing but that the service failed, and logs it once with its whole chain.
///
/// ```
/// fn number(text: &str) -> Result<u32, updraft::Error> {
///     Ok(text.trim().parse()?)
/// }
///
/// assert!(number("seven").unwrap_err().to_string().contains("invalid digit"));
/// ```
///
/// It is no [`std::error::Error`] itself, because then it could not be made of all of them.
pub struct Error(BoxError);

impl Error {
    /// An error of a text, or of what is in a box already.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }

    /// The error that was put in.
    pub fn get(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.0
    }

    /// The error that was put in, out of here.
    pub fn into_inner(self) -> BoxError {
        self.0
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// What `?` may turn into a fault of the service: every [`std::error::Error`], and [`Error`].
///
/// [`derive(Problem)`](macro@crate::Problem) makes `From` of all of them for an enum that has
/// a variant with `#[from] updraft::Error`. Such an enum must not be a
/// [`std::error::Error`] itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error that becomes a fault of the service",
    note = "every `std::error::Error + Send + Sync + 'static` is, and `updraft::Error`"
)]
pub trait Fault {
    /// As an [`Error`].
    fn into_error(self) -> Error;
}

impl<E: StdError + Send + Sync + 'static> Fault for E {
    fn into_error(self) -> Error {
        self.into()
    }
}

impl Fault for Error {
    fn into_error(self) -> Error {
        self
    }
}
