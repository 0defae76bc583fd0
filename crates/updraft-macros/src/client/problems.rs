//! The problems that an operation documents, as variants of an enum.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use serde_json::Value;

use super::messages::Types;
use super::names::{ident, pascal, snake};
use super::shapes::{Shape, members, requires};

/// Members of every problem document (RFC 9457 §3.1).
const COMMON: [&str; 5] = ["type", "title", "status", "detail", "instance"];

/// A kind of problem that programs can tell from others.
struct Kind<'d> {
    name: String,
    status: u16,
    uri: &'d str,
    title: &'d str,
    schema: &'d Value,
}

/// The error of an operation.
pub(super) struct Problems {
    /// The type.
    pub(super) ty: TokenStream,
    /// Looks whether `reply` is one of the documented problems, and returns it then.
    pub(super) check: TokenStream,
    /// What makes a `CallError` into the type.
    pub(super) wrap: TokenStream,
}

/// The problems of an operation. Those without a `type` are told by their status alone, and stay
/// what every call can end with.
pub(super) fn of<'d>(types: &mut Types<'d>, operation: &'d Value, name: &str) -> Problems {
    let mut kinds = Vec::new();
    for (status, response) in responses(operation) {
        let schema = response.pointer("/content/application~1problem+json/schema");
        if let (Ok(status), Some(schema)) = (status.parse::<u16>(), schema)
            && 400 <= status
        {
            collect(types, schema, status, &mut kinds);
        }
    }
    if kinds.is_empty() {
        return Problems {
            ty: quote!(::updraft::CallError),
            check: TokenStream::new(),
            wrap: quote!(::core::convert::identity),
        };
    }
    let own = types.free(&format!("{name}Error"));
    let mut variants = Vec::new();
    let mut shown = Vec::new();
    let mut arms = Vec::new();
    let mut taken = vec!["Call".to_owned()];
    for kind in &kinds {
        let mut variant = kind.name.clone();
        while taken.contains(&variant) {
            variant.push('_');
        }
        taken.push(variant.clone());
        let variant = ident(&variant);
        let Kind { status, uri, title, .. } = kind;
        let about = format!("{title} (status {status}).");
        let Fields { names: fields, declared, parsed } = fields(types, kind, &own);
        variants.push(match fields.is_empty() {
            true => quote!(#[doc = #about] #variant,),
            false => quote!(#[doc = #about] #variant { #(#declared)* },),
        });
        shown.push(quote!(Self::#variant { .. } => #title,));
        arms.push(match fields.is_empty() {
            true => {
                quote!((#status, ::core::option::Option::Some(#uri)) => return Err(#own::#variant),)
            }
            false => quote! {
                (#status, ::core::option::Option::Some(#uri)) => {
                    #[derive(::updraft::contract_types::serde::Deserialize)]
                    #[serde(crate = "::updraft::contract_types::serde")]
                    struct Members { #(#parsed)* }
                    let members =
                        ::updraft::contract_types::serde_json::from_slice(reply.body());
                    if let Ok(Members { #(#fields),* }) = members {
                        return Err(#own::#variant { #(#fields),* });
                    }
                }
            },
        });
    }
    types.push(error(&own, name, &variants, &shown));
    let check = quote! {
        if let ::core::option::Option::Some(problem) = reply.problem() {
            match (problem.status().as_u16(), problem.uri()) {
                #(#arms)*
                _ => {}
            }
        }
    };
    Problems { ty: quote!(#own), check, wrap: quote!(#own::Call) }
}

fn error(own: &Ident, name: &str, variants: &[TokenStream], shown: &[TokenStream]) -> TokenStream {
    let about = format!("Why `{}` failed.", snake(name));
    quote! {
        #[doc = #about]
        #[derive(Debug)]
        pub enum #own {
            #(#variants)*
            /// Something that the contract does not name.
            Call(::updraft::CallError),
        }

        impl ::core::fmt::Display for #own {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(match self {
                    #(#shown)*
                    Self::Call(_) => "the call failed",
                })
            }
        }

        impl ::std::error::Error for #own {
            fn source(
                &self,
            ) -> ::core::option::Option<&(dyn ::std::error::Error + 'static)> {
                match self {
                    Self::Call(error) => ::core::option::Option::Some(error),
                    _ => ::core::option::Option::None,
                }
            }
        }

        impl ::core::convert::From<::updraft::CallError> for #own {
            fn from(error: ::updraft::CallError) -> Self {
                Self::Call(error)
            }
        }
    }
}

/// The members that a kind adds.
#[derive(Default)]
struct Fields {
    names: Vec<Ident>,
    /// As fields of the variant.
    declared: Vec<TokenStream>,
    /// As fields of what the document is parsed into.
    parsed: Vec<TokenStream>,
}

fn fields<'d>(types: &mut Types<'d>, kind: &Kind<'d>, own: &Ident) -> Fields {
    let mut fields = Fields::default();
    for (name, member) in members(kind.schema).into_iter().flatten() {
        if COMMON.contains(&&**name) {
            continue;
        }
        let place = format!("problem {}, member {name}", kind.uri);
        let made = types.of(member, &format!("{own}{}", pascal(name)), &place).tokens;
        let made = match requires(kind.schema, name) {
            true => made,
            false => quote!(::core::option::Option<#made>),
        };
        let mut field = snake(name);
        while fields.names.iter().any(|known| *known == field) {
            field.push('_');
        }
        let field = ident(&field);
        let about = super::docs(member, &format!("The member `{name}`."));
        fields.declared.push(quote!(#about #field: #made,));
        fields.parsed.push(quote!(#[serde(rename = #name)] #field: #made,));
        fields.names.push(field);
    }
    fields
}

fn responses(operation: &Value) -> impl Iterator<Item = (&String, &Value)> {
    operation.get("responses").and_then(Value::as_object).into_iter().flatten()
}

/// The kinds that a schema is one of.
fn collect<'d>(types: &Types<'d>, schema: &'d Value, status: u16, kinds: &mut Vec<Kind<'d>>) {
    let target = types.target(schema);
    if let Shape::Choice(all) = Shape::of(target) {
        for one in all {
            collect(types, one, status, kinds);
        }
        return;
    }
    let known = |pointer: &str| target.pointer(pointer).and_then(Value::as_str);
    let Some(uri) = known("/properties/type/const").filter(|uri| *uri != "about:blank") else {
        return;
    };
    let title = known("/properties/title/const").unwrap_or(uri);
    let name = match Shape::of(schema) {
        Shape::Reference(name) => name.strip_suffix("Problem").unwrap_or(name),
        _ => uri.rsplit(['/', '#', ':']).next().unwrap_or(uri),
    };
    if kinds.iter().all(|known| (known.uri, known.status) != (uri, status)) {
        kinds.push(Kind { name: pascal(name), status, uri, title, schema: target });
    }
}
