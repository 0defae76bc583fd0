//! The text of a problem with what changes from one to the next: `The number {number} is
//! taken.`

use proc_macro2::{Ident, Span};

/// A template and the fields that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detail {
    pub(super) template: String,
    pub(super) names: Vec<String>,
}

impl Detail {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn read(text: &str, fields: &[String]) -> Result<Self, String> {
        let mut names: Vec<String> = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (brace, after) = rest.split_at(start).1.split_at(1);
            if after.starts_with(brace) {
                rest = after.get(1..).unwrap_or_default();
                continue;
            }
            let Some(end) = after.find('}').filter(|_| brace == "{") else {
                return Err("a single brace: write `{field}`, or `{{` and `}}`".to_owned());
            };
            let (name, after) = after.split_at(end);
            if !fields.iter().any(|field| field == name) {
                return Err(format!("`{{{name}}}` is no field of this variant"));
            }
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(Self { template: text.to_owned(), names })
    }

    /// Whether a text names any field.
    pub(super) fn names_any(text: &str, fields: &[String]) -> bool {
        Self::read(text, fields).is_ok_and(|detail| !detail.names.is_empty())
    }

    pub(super) fn idents(&self) -> Vec<Ident> {
        self.names.iter().map(|name| Ident::new(name, Span::call_site())).collect()
    }
}
