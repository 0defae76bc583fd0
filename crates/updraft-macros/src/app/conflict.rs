//! Two fields must not be read from one variable, nor a field from the `…_FILE` of another.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;

use super::Declared;
use crate::findings::Findings;

/// Reports fields of the same name.
pub(super) fn check(fields: &[Declared], findings: &mut Findings) {
    for (second, first) in pairs(fields) {
        if first.plain == second.plain {
            let (first, variable) = (&first.name, &second.plain);
            let message = format!(
                "`{first}` is read from {variable} already: give one of the two another `name`"
            );
            findings.add(&second.ident, message);
        }
    }
}

/// What only the types of the fields decide: whether each is a value or attached.
pub(super) fn assertions(fields: &[Declared]) -> TokenStream {
    let mut all = TokenStream::new();
    for (second, first) in pairs(fields) {
        for (own, own_is) in second.variables() {
            for (other, other_is) in first.variables() {
                let Some(message) = conflict((&second.name, own), (&first.name, other)) else {
                    continue;
                };
                all.extend(quote_spanned! { second.ident.span() =>
                    const _: () = ::core::assert!(!(#own_is && #other_is), #message);
                });
            }
        }
    }
    all
}

/// Each field with each one before it.
fn pairs(fields: &[Declared]) -> impl Iterator<Item = (&Declared, &Declared)> {
    let all = fields.iter().enumerate();
    all.flat_map(|(at, second)| fields.iter().take(at).map(move |first| (second, first)))
}

fn conflict(own: (&str, &str), other: (&str, &str)) -> Option<String> {
    let ((own_field, own), (other_field, other)) = (own, other);
    if own == other {
        return Some(format!(
            "`{own_field}` and `{other_field}` are both read from {own}: give one of the two \
             another `name`"
        ));
    }
    let file = |variable: &str, of: &str| variable.strip_suffix("_FILE") == Some(of);
    (file(own, other) || file(other, own)).then(|| {
        format!(
            "`{own_field}` and `{other_field}` get in each other's way: each variable may also \
             come from the file that its name with _FILE behind it names; give one of the two \
             another `name`"
        )
    })
}

impl Declared {
    /// The variables that it may have, each with the condition for it.
    fn variables(&self) -> [(&str, TokenStream); 2] {
        let is_attached = attached(&self.ty);
        [(&self.plain, quote!(!#is_attached)), (&self.url, is_attached)]
    }
}

fn attached(ty: &Type) -> TokenStream {
    quote!(<#ty as ::updraft::Field>::ATTACHED)
}
