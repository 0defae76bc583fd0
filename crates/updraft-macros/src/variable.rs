//! `#[derive(Variable)]`: an enum of which the environment names one.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Data, DeriveInput, Expr, Fields as Shape, Token, Variant};

use crate::fields::{Fields, Known};
use crate::findings::Findings;
use crate::value;

const KNOWN: Known = Known { owner: "`#[variable]`", keys: &["name"], words: &[], alone: None };

/// Expands the derive.
pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    match checked(input) {
        Ok(variants) => implementation(&input.ident, &variants),
        Err(error) => error.into_compile_error(),
    }
}

/// A variant and its word.
type Named = (Ident, String);

fn checked(input: &DeriveInput) -> syn::Result<Vec<Named>> {
    let mut findings = Findings::default();
    if !input.generics.params.is_empty() {
        findings.add(&input.generics.params, "a Variable of this kind has no generics");
    }
    let mut named: Vec<Named> = Vec::new();
    match &input.data {
        Data::Enum(data) if !data.variants.is_empty() => {
            for variant in &data.variants {
                let word = word(variant, &mut findings);
                if named.iter().any(|(_, other)| *other == word) {
                    findings.add(&variant.ident, format_args!("`{word}` is there already"));
                }
                named.push((variant.ident.clone(), word));
            }
        }
        _ => {
            let message = "Variable is derived for an enum with variants; for another type \
                           implement it";
            findings.add(&input.ident, message);
        }
    }
    findings.into_result().map(|()| named)
}

fn word(variant: &Variant, findings: &mut Findings) -> String {
    if !matches!(variant.fields, Shape::Unit) {
        findings.add(&variant.fields, "a word of the environment holds no further values");
    }
    let mut all = Vec::new();
    for attribute in variant.attrs.iter().filter(|it| it.path().is_ident("variable")) {
        let list = findings.keep(attribute.meta.require_list());
        let parsed = list.map(|list| {
            Punctuated::<Expr, Token![,]>::parse_terminated.parse2(list.tokens.clone())
        });
        all.extend(parsed.and_then(|parsed| findings.keep(parsed)).into_iter().flatten());
    }
    let given = Fields::sort(&KNOWN, Span::call_site(), all, findings);
    given
        .value("name", findings, plain_word)
        .unwrap_or_else(|| kebab(&variant.ident.unraw().to_string()))
}

/// A word that can stand in a list.
fn plain_word(value: &Expr) -> syn::Result<String> {
    let text = value::text(value)?.value();
    if text.chars().any(|c| c == ',' || c.is_whitespace() || c.is_control()) {
        return Err(syn::Error::new_spanned(value, "a word has no blanks and no commas"));
    }
    Ok(text)
}

/// `EuWest` as `eu-west`, `HTTPServer` as `http-server`.
fn kebab(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut word = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let after_small = at > 0 && !letters[at - 1].is_uppercase();
        let before_small = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && at > 0 && (after_small || before_small) && !word.ends_with('-')
        {
            word.push('-');
        }
        match letter {
            '_' => word.push('-'),
            letter => word.extend(letter.to_lowercase()),
        }
    }
    word
}

fn implementation(name: &Ident, variants: &[Named]) -> TokenStream {
    let idents: Vec<_> = variants.iter().map(|(ident, _)| ident).collect();
    let words: Vec<_> = variants.iter().map(|(_, word)| word).collect();
    let list = variants.iter().map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(", ");
    let (expected, wrong) = match words.as_slice() {
        [only] => (format!("{only}, the only choice"), format!("is not {only}")),
        _ => (format!("one of {list}"), format!("is none of {list}")),
    };
    let example = words.first();
    quote! {
        #[automatically_derived]
        impl ::updraft::Variable for #name {
            const EXPECTED: &'static str = #expected;
            const EXAMPLE: &'static str = #example;

            fn parse(
                text: &str,
            ) -> ::core::result::Result<Self, ::std::string::String> {
                match text {
                    #(#words => ::core::result::Result::Ok(Self::#idents),)*
                    _ => ::core::result::Result::Err(::std::string::String::from(#wrong)),
                }
            }

            fn show(&self) -> ::std::string::String {
                ::std::string::String::from(match self {
                    #(Self::#idents => #words,)*
                })
            }
        }
    }
}

#[cfg(test)]
#[path = "variable_tests.rs"]
mod tests;
