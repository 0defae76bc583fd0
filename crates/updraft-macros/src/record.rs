//! `#[derive(Record)]`: a struct whose fields are the columns of a row.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Field, Fields, LitStr};

use crate::findings::Findings;

/// Expands the derive.
pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    let mut findings = Findings::default();
    let fields = fields(input, &mut findings);
    match findings.into_result() {
        Ok(()) => implementation(input, &fields),
        Err(error) => error.into_compile_error(),
    }
}

/// A field and its column.
struct Mapped {
    ident: Ident,
    column: String,
}

fn fields(input: &DeriveInput, findings: &mut Findings) -> Vec<Mapped> {
    let Data::Struct(data) = &input.data else {
        findings.add(&input.ident, "a Record is a struct");
        return Vec::new();
    };
    let Fields::Named(named) = &data.fields else {
        findings.add(&input.ident, "a Record is a struct with named fields");
        return Vec::new();
    };
    named.named.iter().filter_map(|field| mapped(field, findings)).collect()
}

fn mapped(field: &Field, findings: &mut Findings) -> Option<Mapped> {
    let ident = field.ident.clone()?;
    let column = renamed(&field.attrs, findings).unwrap_or_else(|| ident.unraw().to_string());
    Some(Mapped { ident, column })
}

/// The name in `#[column(name = "…")]`.
fn renamed(attributes: &[Attribute], findings: &mut Findings) -> Option<String> {
    let mut name = None;
    for attribute in attributes.iter().filter(|it| it.path().is_ident("column")) {
        let read = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse::<LitStr>()?.value());
                Ok(())
            } else {
                Err(meta.error("a column knows `name`"))
            }
        });
        if let Err(error) = read {
            findings.take_in(error);
        }
    }
    name
}

fn implementation(input: &DeriveInput, fields: &[Mapped]) -> TokenStream {
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let idents = fields.iter().map(|field| &field.ident);
    let columns = fields.iter().map(|field| &field.column);
    quote! {
        #[automatically_derived]
        impl #generics ::updraft::sql::Record for #name #arguments #bounds {
            fn from_row(
                row: &::updraft::sql::Row,
            ) -> ::core::result::Result<Self, ::updraft::sql::SqlError> {
                ::core::result::Result::Ok(Self { #(#idents: row.get(#columns)?,)* })
            }
        }
    }
}
