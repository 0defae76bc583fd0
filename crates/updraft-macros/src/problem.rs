//! `#[derive(Problem)]`: an enum whose variants are the kinds of problems of an operation.

mod detail;
mod variant;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Type};

use crate::findings::Findings;
use variant::{Form, Variant};

/// Expands the derive.
pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    let mut findings = Findings::default();
    let variants = variants(input, &mut findings);
    match findings.into_result() {
        Ok(()) => implementation(input, &variants),
        Err(error) => error.into_compile_error(),
    }
}

fn variants(input: &DeriveInput, findings: &mut Findings) -> Vec<Variant> {
    let Data::Enum(data) = &input.data else {
        findings.add(&input.ident, "a Problem is an enum; each of its variants is a kind");
        return Vec::new();
    };
    if data.variants.is_empty() {
        findings.add(&input.ident, "a Problem has at least one variant");
    }
    let variants: Vec<_> =
        data.variants.iter().filter_map(|it| Variant::read(it, findings)).collect();
    check_sources(&variants, findings);
    variants
}

/// `?` must know what to make of an error: two variants cannot be made of the same.
fn check_sources(variants: &[Variant], findings: &mut Findings) {
    let froms = || variants.iter().filter_map(Variant::from);
    let all = froms().find(|ty| is_any_error(ty));
    for (index, ty) in froms().enumerate() {
        let said = |ty: &Type| quote!(#ty).to_string();
        if froms().take(index).any(|other| said(other) == said(ty)) {
            findings.add(ty, "another variant is made of this already");
        }
    }
    let Some(_) = all else { return };
    for variant in variants {
        let Some(ty) = variant.from() else { continue };
        if !is_any_error(ty) && !matches!(variant.form, Form::Transparent(_)) {
            let say = "the variant of `updraft::Error` is made of every error, this one too: \
                leave out `#[from]` here, and map it by hand";
            findings.add(ty, say);
        }
    }
}

/// Whether this is `updraft::Error`, as far as its name says so.
fn is_any_error(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let words: Vec<_> = path.path.segments.iter().map(|it| it.ident.to_string()).collect();
    match &*words {
        [only] => only == "Error",
        [first, last] => first == "updraft" && last == "Error",
        _ => false,
    }
}

fn implementation(input: &DeriveInput, variants: &[Variant]) -> TokenStream {
    let name = &input.ident;
    let (generics, types, bounds) = input.generics.split_for_impl();
    let details = variants.iter().map(Variant::details);
    let describe = variants.iter().map(Variant::describe);
    let froms = variants.iter().filter_map(|variant| {
        let (ty, ident) = (variant.from()?, &variant.ident);
        Some(if is_any_error(ty) {
            quote! {
                #[automatically_derived]
                impl<AnyFault: ::updraft::Fault> ::core::convert::From<AnyFault> for #name {
                    fn from(fault: AnyFault) -> Self {
                        Self::#ident(::updraft::Fault::into_error(fault))
                    }
                }
            }
        } else {
            quote! {
                #[automatically_derived]
                impl #generics ::core::convert::From<#ty> for #name #types #bounds {
                    fn from(source: #ty) -> Self {
                        Self::#ident(source)
                    }
                }
            }
        })
    });
    quote! {
        #[automatically_derived]
        impl #generics ::updraft::Problem for #name #types #bounds {
            fn into_details(self) -> ::updraft::ProblemDetails {
                match self {
                    #(#details)*
                }
            }

            fn describe(shape: &mut ::updraft::Shape<'_>) {
                #(#describe)*
            }
        }

        #[automatically_derived]
        impl #generics ::updraft::http::IntoResponse for #name #types #bounds {
            fn into_response(self) -> ::updraft::http::Response {
                let details = ::updraft::Problem::into_details(self);
                ::updraft::http::IntoResponse::into_response(details)
            }
        }

        #(#froms)*
    }
}

#[cfg(test)]
#[path = "problem/problem_tests.rs"]
mod tests;
