//! `#[derive(App)]`: a struct whose fields are read from the environment.

mod conflict;
mod options;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Field, Fields, Lit, Meta, Type};

use crate::findings::Findings;
use options::Options;

/// Expands the derive.
pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    match checked(input) {
        Ok(fields) => implementation(&input.ident, &fields),
        Err(error) => error.into_compile_error(),
    }
}

/// The fields of a sound struct; every mistake of one that is not.
fn checked(input: &DeriveInput) -> syn::Result<Vec<Declared>> {
    let mut findings = Findings::default();
    if !input.generics.params.is_empty() {
        let message = "an App has no generics: one binary reads one set of variables";
        findings.add(&input.generics.params, message);
    }
    let fields = fields(input, &mut findings);
    conflict::check(&fields, &mut findings);
    findings.into_result().map(|()| fields)
}

/// A field and its declaration.
struct Declared {
    ident: Ident,
    ty: Type,
    /// The field's name as people write it.
    name: String,
    /// The variable of a plain value.
    plain: String,
    /// The variable of something that is attached.
    url: String,
    about: String,
    options: Options,
}

fn fields(input: &DeriveInput, findings: &mut Findings) -> Vec<Declared> {
    let Data::Struct(data) = &input.data else {
        findings.add(&input.ident, "an App is a struct");
        return Vec::new();
    };
    match &data.fields {
        Fields::Named(named) => {
            named.named.iter().filter_map(|field| declared(field, findings)).collect()
        }
        Fields::Unit => Vec::new(),
        Fields::Unnamed(_) => {
            findings.add(&input.ident, "an App is a struct with named fields");
            Vec::new()
        }
    }
}

fn declared(field: &Field, findings: &mut Findings) -> Option<Declared> {
    let ident = field.ident.clone()?;
    let options = Options::read(field, findings);
    let name = ident.unraw().to_string();
    let plain = options.name.clone().unwrap_or_else(|| name.to_uppercase());
    if !plain.is_ascii() {
        let message = "the name of a variable is ASCII: give the field a `name`";
        findings.add(&ident, message);
    }
    let url = if plain.ends_with("_URL") { plain.clone() } else { format!("{plain}_URL") };
    let about = about(&field.attrs);
    if about.is_empty() {
        findings.add(
            &ident,
            format_args!("`{name}` needs a doc comment: it tells people what {plain} is"),
        );
    }
    Some(Declared { ident, ty: field.ty.clone(), name, plain, url, about, options })
}

/// The first paragraph of the doc comment, on one line.
fn about(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<_> = lines
        .flat_map(|text| text.split('\n').map(|line| line.trim().to_owned()).collect::<Vec<_>>())
        .collect();
    let paragraph =
        lines.iter().skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    paragraph.map(String::as_str).collect::<Vec<_>>().join(" ")
}

impl Declared {
    /// The declaration as a constant.
    fn spec(&self) -> TokenStream {
        let Self { ty, name, plain, url, about, options, .. } = self;
        let default = text(options.default.as_deref());
        let example = text(options.example.as_deref());
        let one_of = &options.one_of;
        let range = match &options.range {
            Some(range) => {
                let (least, most) = (text(range.least.as_deref()), text(range.most.as_deref()));
                quote_spanned! { ty.span() =>
                    ::core::option::Option::Some(::updraft::Bounds::of::<#ty>(#least, #most))
                }
            }
            None => text(None),
        };
        let (secret, shared) = (options.secret, options.shared);
        quote! {
            ::updraft::FieldSpec {
                field: #name,
                plain: #plain,
                url: #url,
                about: #about,
                default: #default,
                example: #example,
                one_of: &[#(#one_of),*],
                range: #range,
                secret: #secret,
                shared: #shared,
            }
        }
    }
}

/// A text that may be there, as an expression.
fn text(text: Option<&str>) -> TokenStream {
    crate::value::option(text.map(ToTokens::to_token_stream))
}

fn implementation(name: &Ident, fields: &[Declared]) -> TokenStream {
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let specs: Vec<_> = fields.iter().map(Declared::spec).collect();
    let read: Vec<_> = (0..fields.len()).map(|number| format_ident!("read_{number}")).collect();
    let distinct = conflict::assertions(fields);
    quote! {
        #distinct

        #[automatically_derived]
        impl ::updraft::App for #name {
            type Parsed = (#(<#types as ::updraft::Field>::Parsed,)*);

            fn read(
                config: &mut ::updraft::Config,
            ) -> ::core::result::Result<Self::Parsed, ::updraft::Invalid> {
                // All are read before the first is judged: one report names every problem.
                #(let #read = config.app_field::<#types>(&const { #specs });)*
                ::core::result::Result::Ok((#(#read?,)*))
            }

            async fn attach(
                parsed: Self::Parsed,
                attaching: &::updraft::Attaching,
            ) -> ::core::result::Result<Self, ::updraft::AttachError> {
                let (#(#read,)*) = parsed;
                ::core::result::Result::Ok(Self {
                    #(#idents: <#types as ::updraft::Field>::attach(
                        #read,
                        &const { #specs },
                        attaching,
                    )
                    .await?,)*
                })
            }
        }
    }
}

#[cfg(test)]
#[path = "app_tests.rs"]
mod tests;
