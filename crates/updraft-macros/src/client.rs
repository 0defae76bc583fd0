//! `client!(pub mod ledger, "contracts/ledger.json")`: the operations of another service as
//! functions, made of its contract.

mod messages;
mod names;
mod operations;
mod problems;
mod shapes;

use std::path::Path;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, LitStr, Token, Visibility};

use crate::findings::Findings;
use messages::Types;

/// What is written between the parentheses.
pub(crate) struct Module {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    path: LitStr,
}

impl Parse for Module {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        input.parse::<Token![mod]>()?;
        let name = input.parse()?;
        input.parse::<Token![,]>()?;
        let path = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        Ok(Self { attributes, visibility, name, path })
    }
}

/// Expands the macro.
pub(crate) fn expand(module: &Module) -> TokenStream {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let path = Path::new(&root).join(module.path.value());
    let read = std::fs::read_to_string(&path)
        .map_err(|error| format!("`{}` cannot be read: {error}", path.display()));
    let parsed = read.and_then(|text| {
        serde_json::from_str::<Value>(&text)
            .map_err(|error| format!("`{}` is not JSON: {error}", path.display()))
    });
    match parsed {
        Ok(document) => of_document(module, &document, &path.display().to_string()),
        Err(message) => syn::Error::new_spanned(&module.path, message).into_compile_error(),
    }
}

/// The module of a contract. Every mistake of the contract names its place.
fn of_document(module: &Module, document: &Value, path: &str) -> TokenStream {
    let mut types = Types::new(document);
    let openapi = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
    if !openapi.starts_with("3.1") {
        types.wrong("openapi", "must be 3.1: other versions describe types differently");
    }
    let operations = operations::all(&mut types);
    let (items, wrong) = types.finish();
    let mut findings = Findings::default();
    for (place, message) in wrong {
        findings.add(&module.path, format_args!("{place}: {message}"));
    }
    if let Err(error) = findings.into_result() {
        return error.into_compile_error();
    }
    let Module { attributes, visibility, name, .. } = module;
    let version = text(document, "/info/version");
    let title = text(document, "/info/title");
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    let operations_name =
        if major.is_empty() { format_ident!("Api") } else { format_ident!("V{major}") };
    let about = format!("The service {title}, by its contract of version {version}.");
    let of_operations = format!("The operations of {title}, version {version}.");
    quote! {
        #[doc = #about]
        #(#attributes)*
        #[allow(dead_code, clippy::all, reason = "a contract has more than one caller uses")]
        #visibility mod #name {
            // So that the program is built anew when the contract has changed.
            const _: &[u8] = ::core::include_bytes!(#path);

            /// The version of the contract.
            pub const VERSION: &str = #version;

            #[doc = #of_operations]
            #[derive(Clone, Debug)]
            pub struct #operations_name(::updraft::Untyped);

            impl ::updraft::Callee for #operations_name {
                const VERSION: ::core::option::Option<&'static str> =
                    ::core::option::Option::Some(VERSION);

                fn of(caller: ::updraft::Untyped) -> Self {
                    Self(caller)
                }
            }

            impl #operations_name {
                #(#operations)*
            }

            #(#items)*
        }
    }
}

/// A text of the document; empty where there is none.
fn text<'d>(document: &'d Value, pointer: &str) -> &'d str {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What a document says of something, as its documentation.
fn docs(value: &Value, otherwise: &str) -> TokenStream {
    let said = |key: &str| value.get(key).and_then(Value::as_str).filter(|it| !it.is_empty());
    let mut paragraphs: Vec<&str> =
        ["summary", "title", "description"].into_iter().filter_map(said).collect();
    if paragraphs.is_empty() {
        paragraphs.push(otherwise);
    }
    let lines = paragraphs.join("\n\n");
    // What others write is text: no examples are compiled, and no links are looked for.
    let lines = lines.lines().map(|line| {
        let plain = line.trim_start().replace("```", "'''").replace('[', "\\[");
        format!(" {plain}")
    });
    quote!(#(#[doc = #lines])*)
}
