//! A place for the value of a variable, and what there is to know of its type. With it the way
//! from a text to a value is compiled once, and not once for each type of which there are
//! variables.

use std::path::Path;

use super::{Bounds, Variable};

/// What a type says of all its values.
pub(super) struct TypeFacts {
    pub(super) expected: fn() -> String,
    pub(super) expected_within: fn(&Bounds) -> String,
    /// Empty where none makes sense.
    pub(super) example: &'static str,
    pub(super) secret: bool,
    #[cfg(feature = "testing")]
    pub(super) name: &'static str,
}

impl TypeFacts {
    pub(super) fn of<T: Variable>() -> Self {
        Self {
            expected: T::expected,
            expected_within: T::expected_within,
            example: T::EXAMPLE,
            secret: T::SECRET,
            #[cfg(feature = "testing")]
            name: std::any::type_name::<T>(),
        }
    }
}

/// Where a value of a type is put that only the caller knows.
pub(super) trait Slot {
    /// Puts the value of this text in; what is wrong with the text leaves it as it was.
    fn parse(&mut self, text: &str) -> Result<(), String>;

    /// Tells the value from which file it was read.
    fn of_file(&mut self, file: &Path);

    /// The value as it may be shown; `None`: there is none.
    fn show(&self) -> Option<String>;
}

impl<T: Variable> Slot for Option<T> {
    fn parse(&mut self, text: &str) -> Result<(), String> {
        *self = Some(T::parse(text)?);
        Ok(())
    }

    fn of_file(&mut self, file: &Path) {
        *self = self.take().map(|value| value.of_file(file));
    }

    fn show(&self) -> Option<String> {
        self.as_ref().map(T::show)
    }
}
