//! The least and the greatest value of a variable, as its declaration says them.

use std::fmt;

use super::Variable;

/// `range = …` of a field: the least and the greatest value, both included, as texts that are
/// read like the variable itself. `#[derive(App)]` makes it.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    least: Option<&'static str>,
    most: Option<&'static str>,
    /// What is wrong with the text; without one, with the bounds.
    check: fn(Option<&str>, &Self) -> Result<(), BoundsError>,
}

/// Why a text is not within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundsError {
    /// The text itself cannot be read, which its own reading reports better.
    #[error("the text cannot be read")]
    Text,
    /// A bound cannot be read, or the least is above the greatest.
    #[error("the bounds cannot be read")]
    Bounds,
    /// The value is less than the least, or more than the greatest.
    #[error("the value is out of its bounds")]
    Outside,
}

/// Types whose values have an order, and so can have bounds.
#[diagnostic::on_unimplemented(
    message = "the values of `{Self}` have no order, so a field of it can have no `range`",
    label = "not a `Variable` with `PartialOrd`"
)]
pub trait Bounded {
    /// Whether the text is within the bounds; without a text, whether the bounds can be read.
    ///
    /// # Errors
    ///
    /// What is wrong.
    fn check(text: Option<&str>, bounds: &Bounds) -> Result<(), BoundsError>;
}

impl<T: Variable + PartialOrd> Bounded for T {
    fn check(text: Option<&str>, bounds: &Bounds) -> Result<(), BoundsError> {
        let bound =
            |bound: Option<&str>| bound.map(T::parse).transpose().ok().ok_or(BoundsError::Bounds);
        let (least, most) = (bound(bounds.least)?, bound(bounds.most)?);
        if least.as_ref().zip(most.as_ref()).is_some_and(|(least, most)| least > most) {
            return Err(BoundsError::Bounds);
        }
        let Some(text) = text else { return Ok(()) };
        let value = T::parse(text).ok().ok_or(BoundsError::Text)?;
        let within =
            least.is_none_or(|least| least <= value) && most.is_none_or(|most| value <= most);
        if within { Ok(()) } else { Err(BoundsError::Outside) }
    }
}

impl<T: Variable + PartialOrd> Bounded for Option<T> {
    fn check(text: Option<&str>, bounds: &Bounds) -> Result<(), BoundsError> {
        T::check(text, bounds)
    }
}

impl Bounds {
    /// The bounds of values of `T`.
    pub const fn of<T: Bounded>(least: Option<&'static str>, most: Option<&'static str>) -> Self {
        Self { least, most, check: T::check }
    }

    /// Whether a text is within them. A text that cannot be read at all passes, since whoever
    /// reads it says better what is wrong.
    pub(super) fn admit(&self, text: &str) -> Result<(), String> {
        match (self.check)(Some(text), self) {
            Err(BoundsError::Outside) => Err(format!("is not {self}")),
            Ok(()) | Err(BoundsError::Text | BoundsError::Bounds) => Ok(()),
        }
    }

    pub(super) fn sound(&self) -> Result<(), &'static str> {
        let checked = (self.check)(None, self);
        checked.ok().ok_or("has a `range` in its declaration that cannot be read")
    }

    /// A value that is within them.
    pub(super) fn example(&self) -> Option<&'static str> {
        self.least.or(self.most)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (Some(least), Some(most)) => write!(f, "from {least} to {most}"),
            (Some(least), None) => write!(f, "at least {least}"),
            (None, Some(most)) => write!(f, "at most {most}"),
            (None, None) => f.write_str("any value"),
        }
    }
}
