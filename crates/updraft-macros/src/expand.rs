//! From a function with attributes to one that goes through policies.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, ItemFn, Meta};

use crate::call::{Call, own_name};
use crate::findings::Findings;
use crate::function;
use crate::layer::{Kind, Layer, Source};

/// The field of an attribute that was taken in by the one above it, and has nothing to do.
const TAKEN_IN: &str = "__taken_in";

/// Expands the attribute `kind` and all of ours that are below it.
pub(crate) fn expand(kind: Kind, fields: TokenStream, item: TokenStream) -> TokenStream {
    if fields.to_string() == TAKEN_IN {
        return TokenStream::new();
    }
    let mut function = match function::read(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    let below = take_ours(&mut function);
    match guarded(kind, fields, &below, &mut function) {
        Ok(()) => function.into_token_stream(),
        Err(error) => {
            // The function as it was, so that its callers are not reported as well.
            let error = error.into_compile_error();
            quote!(#error #function)
        }
    }
}

/// Ours among the attributes of a function; the compiler would nest them the other way round.
fn take_ours(function: &mut ItemFn) -> Vec<(Kind, Attribute)> {
    let (ours, others): (Vec<_>, Vec<_>) =
        function.attrs.drain(..).partition(|attribute| Kind::of(attribute.path()).is_some());
    function.attrs = others;
    let kind = |attribute: Attribute| Kind::of(attribute.path()).map(|kind| (kind, attribute));
    ours.into_iter().filter_map(kind).collect()
}

/// Gives the function its new body.
fn guarded(
    kind: Kind,
    fields: TokenStream,
    below: &[(Kind, Attribute)],
    function: &mut ItemFn,
) -> syn::Result<()> {
    let mut findings = Findings::default();
    let mut layers = Vec::new();
    layers.extend(Layer::read(kind, Span::call_site(), fields, &mut findings));
    for (kind, attribute) in below {
        let tokens = match &attribute.meta {
            Meta::Path(_) => TokenStream::new(),
            Meta::List(list) => list.tokens.clone(),
            Meta::NameValue(given) => {
                findings.add(&given.value, "fields stand in brackets");
                continue;
            }
        };
        let span = syn::spanned::Spanned::span(attribute.path());
        layers.extend(Layer::read(*kind, span, tokens, &mut findings));
    }
    let arguments = function::check(function, &mut findings);
    let repeats = layers.iter().find(|layer| layer.repeats());
    if let Some(layer) = repeats {
        function::check_repeatable(function, layer.kind.name(), &mut findings);
    }
    check_names(function, &layers, &mut findings);
    findings.into_result()?;
    let body = Call { function, arguments: &arguments, layers: &layers }.body();
    if repeats.is_some() {
        function::without_mut(function);
    }
    let taken_in = below.iter().map(|(_, attribute)| mention(attribute.path()));
    *function.block = syn::parse_quote!({ #(#taken_in)* #body });
    Ok(())
}

/// Lets the compiler resolve an attribute that was taken in: that it is ours, and imported.
fn mention(path: &syn::Path) -> TokenStream {
    let taken_in = Ident::new(TAKEN_IN, Span::call_site());
    quote! {
        #[#path(#taken_in)]
        const _: () = ();
    }
}

/// Policies of one name could not be told from each other.
fn check_names(function: &ItemFn, layers: &[Layer], findings: &mut Findings) {
    let mut seen = Vec::new();
    for layer in layers {
        let Source::Own { name, .. } = &layer.source else { continue };
        let key = match name {
            Some(name) => (true, name.value()),
            None => (false, own_name(function, layers, layer)),
        };
        if seen.contains(&key) {
            let message = "another attribute of this function makes a policy of the same name: \
                           give each its own `name`";
            findings.take_in(syn::Error::new(layer.span, message));
        }
        seen.push(key);
    }
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
