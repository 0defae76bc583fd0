//! Every mistake of an attribute, so that one compilation shows them all.

use std::fmt::Display;

use quote::ToTokens;

/// The mistakes so far.
#[derive(Debug, Default)]
pub(crate) struct Findings(Option<syn::Error>);

impl Findings {
    pub(crate) fn add(&mut self, place: impl ToTokens, message: impl Display) {
        self.take_in(syn::Error::new_spanned(place, message));
    }

    pub(crate) fn take_in(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// What was read, if it was sound.
    pub(crate) fn keep<T>(&mut self, read: syn::Result<T>) -> Option<T> {
        read.map_err(|error| self.take_in(error)).ok()
    }

    pub(crate) fn into_result(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
