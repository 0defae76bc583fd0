//! `#[updraft::test]`: one test for each kind of what a service is attached to.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, Ident, ItemFn, LitStr, Path, ReturnType, Token, bracketed, parenthesized,
};

use crate::findings::Findings;
use crate::nearest::nearest;

const FIELDS: [&str; 3] = ["kinds", "vars", "service"];

/// The words of which kinds are made.
const WORDS: [&str; 4] = ["sqlite", "postgres", "redis", "nats"];

/// Expands the attribute.
pub(crate) fn expand(fields: TokenStream, item: TokenStream) -> TokenStream {
    let mut findings = Findings::default();
    let options = Options::read(fields, &mut findings);
    let function: ItemFn = match syn::parse2(item) {
        Ok(function) => function,
        Err(error) => return error.into_compile_error(),
    };
    if function.sig.asyncness.is_none() {
        findings.add(function.sig.fn_token, "a test of a service is an async function");
    }
    if function.sig.inputs.len() != 1 {
        let say = "a test takes its service, and nothing else: `t: TestApp<Orders>`";
        findings.add(&function.sig.ident, say);
    }
    match findings.into_result() {
        Ok(()) => tests(&options, function),
        Err(error) => error.into_compile_error(),
    }
}

/// The fields of the attribute.
#[derive(Default)]
struct Options {
    /// None: one test, on what needs no server.
    kinds: Option<Vec<LitStr>>,
    variables: Vec<(Expr, Expr)>,
    service: Option<Path>,
}

impl Options {
    fn read(fields: TokenStream, findings: &mut Findings) -> Self {
        let mut options = Self::default();
        let parser = |input: ParseStream<'_>| options.parse(input);
        if let Err(error) = parser.parse2(fields) {
            findings.take_in(error);
        }
        let mut seen: Vec<String> = Vec::new();
        for kind in options.kinds.iter().flatten() {
            for word in kind.value().split('+').filter(|word| !WORDS.contains(word)) {
                let meant = nearest(word, &WORDS).map(|meant| format!("; did you mean `{meant}`?"));
                let say = format!("`{word}` is none of {}", WORDS.join(", "));
                findings.add(kind, say + &meant.unwrap_or_default());
            }
            if seen.contains(&kind.value()) {
                findings.add(kind, "this kind is there twice");
            }
            seen.push(kind.value());
        }
        if let Some([]) = options.kinds.as_deref() {
            let say = "without a kind there is no test: name some, or leave `kinds` out";
            findings.take_in(syn::Error::new(proc_macro2::Span::call_site(), say));
        }
        options
    }

    fn parse(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            let word = name.to_string();
            if !FIELDS.contains(&&*word) {
                let say = match nearest(&word, &FIELDS) {
                    Some(near) => format!("`{word}` is unknown; did you mean `{near}`?"),
                    None => format!("`{word}` is unknown; known are {}", FIELDS.join(", ")),
                };
                return Err(syn::Error::new(name.span(), say));
            }
            input.parse::<Token![=]>()?;
            match &*word {
                "kinds" => self.kinds = Some(list(input)?),
                "vars" => {
                    let pairs: Vec<Pair> = list(input)?;
                    self.variables =
                        pairs.into_iter().map(|Pair(name, value)| (name, value)).collect();
                }
                _ => self.service = Some(input.parse()?),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }
}

/// `("NAME", "value")`.
struct Pair(Expr, Expr);

impl Parse for Pair {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let within;
        parenthesized!(within in input);
        let name = within.parse()?;
        within.parse::<Token![,]>()?;
        Ok(Self(name, within.parse()?))
    }
}

fn list<T: Parse>(input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    let within;
    bracketed!(within in input);
    let all = Punctuated::<T, Token![,]>::parse_terminated(&within)?;
    Ok(all.into_iter().collect())
}

fn tests(options: &Options, mut function: ItemFn) -> TokenStream {
    let name = function.sig.ident.clone();
    let output = match &function.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, output) => quote!(#output),
    };
    // What is said of the test is said of each; the rest is said of the function.
    let of_test = |attribute: &Attribute| {
        ["ignore", "should_panic", "cfg", "doc"].iter().any(|it| attribute.path().is_ident(it))
    };
    let attributes: Vec<Attribute> =
        function.attrs.iter().filter(|it| of_test(it)).cloned().collect();
    function.attrs.retain(|attribute| !of_test(attribute));
    let conditions: Vec<Attribute> =
        attributes.iter().filter(|it| it.path().is_ident("cfg")).cloned().collect();
    let service = options.service.as_ref().map_or(quote!(crate::service), |path| quote!(#path));
    let variables = options.variables.iter().map(|(name, value)| quote!(.variable(#name, #value)));
    let variables = quote!(#(#variables)*);

    let Some(kinds) = &options.kinds else {
        return quote! {
            #(#attributes)*
            #[::core::prelude::v1::test]
            fn #name() -> #output {
                #function
                ::updraft::testing::run(#service, ::updraft::testing::Setup::new()#variables, #name)
            }
        };
    };
    let each = kinds.iter().map(|kind| {
        let test = format_ident!("{}", kind.value().replace('+', "_"), span = kind.span());
        quote! {
            #(#attributes)*
            #[::core::prelude::v1::test]
            fn #test() -> #output {
                ::updraft::testing::run(
                    #service,
                    ::updraft::testing::Setup::on(#kind)#variables,
                    super::#name,
                )
            }
        }
    });
    quote! {
        #(#conditions)*
        #[cfg(test)]
        #function

        #(#conditions)*
        #[cfg(test)]
        mod #name {
            #[allow(unused_imports, reason = "what the attribute names may be anything of these")]
            use super::*;

            #(#each)*
        }
    }
}

#[cfg(test)]
#[path = "test_tests.rs"]
mod tests;
