//! `#[derive(Job)]`: a struct that says what is to be done.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::{Data, DeriveInput, Expr, Fields, LitFloat, LitInt, Token};

use crate::findings::Findings;
use crate::nearest::nearest;
use crate::value;

/// The fields of `#[job(…)]`.
const WORDS: [&str; 7] =
    ["kind", "attempts", "timeout", "priority", "unique", "unique_for", "backoff"];

/// Expands the derive.
pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    let mut findings = Findings::default();
    let options = Options::read(input, &mut findings);
    if let Data::Union(_) = input.data {
        findings.add(&input.ident, "a Job is a struct or an enum");
    }
    if !input.generics.params.is_empty() {
        findings.add(&input.generics, "a Job has no generics: its kind names one type");
    }
    match findings.into_result() {
        Ok(()) => implementation(&input.ident, &options),
        Err(error) => error.into_compile_error(),
    }
}

/// What is written in `#[job(…)]`.
#[derive(Default)]
struct Options {
    kind: Option<String>,
    attempts: Option<u32>,
    timeout: Option<TokenStream>,
    priority: Option<u32>,
    unique: Option<Expr>,
    unique_for: Option<TokenStream>,
    backoff: Option<TokenStream>,
}

impl Options {
    fn read(input: &DeriveInput, findings: &mut Findings) -> Self {
        let mut options = Self::default();
        let fields = names(input);
        for attribute in input.attrs.iter().filter(|it| it.path().is_ident("job")) {
            let read = attribute.parse_nested_meta(|meta| options.one(&meta, &fields));
            if let Err(error) = read {
                findings.take_in(error);
            }
        }
        if let (None, Some(span)) = (&options.unique, &options.unique_for) {
            findings.add(span, "`unique_for` needs `unique`: what makes two jobs the same?");
        }
        options
    }

    fn one(&mut self, meta: &ParseNestedMeta<'_>, fields: &[Ident]) -> syn::Result<()> {
        let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        if !WORDS.contains(&word.as_str()) {
            let meant = nearest(&word, &WORDS).map(|meant| format!("; did you mean `{meant}`?"));
            return Err(meta.error(format!(
                "a job knows `{}`{}",
                WORDS.join("`, `"),
                meant.unwrap_or_default()
            )));
        }
        if word == "backoff" {
            self.backoff = Some(backoff(meta)?);
            return Ok(());
        }
        let given: Expr = meta.value()?.parse()?;
        match word.as_str() {
            "kind" => self.kind = Some(value::text(&given)?.value()),
            "attempts" => self.attempts = Some(value::integer(&given, 1..=1_000_000)?),
            "timeout" => self.timeout = Some(value::duration(value::span(&given)?)),
            "priority" => self.priority = Some(value::integer(&given, 0..=9)?),
            "unique_for" => self.unique_for = Some(value::duration(value::span(&given)?)),
            _ => self.unique = Some(of_self(given, fields)),
        }
        Ok(())
    }
}

/// The names of the fields.
fn names(input: &DeriveInput) -> Vec<Ident> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(named) => {
                named.named.iter().filter_map(|field| field.ident.clone()).collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The name of a field alone stands for that field.
fn of_self(given: Expr, fields: &[Ident]) -> Expr {
    match &given {
        Expr::Path(path) if path.path.get_ident().is_some_and(|it| fields.contains(it)) => {
            syn::parse_quote!(self.#path)
        }
        _ => given,
    }
}

/// `backoff(first = "1s", factor = 2.0, max = "5m")`; what is left out is as by default.
fn backoff(meta: &ParseNestedMeta<'_>) -> syn::Result<TokenStream> {
    let (mut given, mut left_out) = (TokenStream::new(), 3_u8);
    if !meta.input.peek(syn::token::Paren) {
        return Err(meta.error("the waits are written like backoff(first = \"1s\", max = \"5m\")"));
    }
    meta.parse_nested_meta(|part| {
        let name = part.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let field = format_ident!("{}", if name.is_empty() { "_" } else { &name });
        match name.as_str() {
            "first" | "max" => {
                let span = value::duration(value::span(&part.value()?.parse()?)?);
                given.extend(quote!(#field: #span,));
            }
            "factor" => {
                let factor = number(&part)?;
                given.extend(quote!(#field: #factor,));
            }
            _ => return Err(part.error("the waits know `first`, `factor` and `max`")),
        }
        left_out = left_out.saturating_sub(1);
        Ok(())
    })?;
    let rest = (left_out > 0).then(|| quote!(..::updraft::JobBackoff::DEFAULT));
    Ok(quote!(::updraft::JobBackoff { #given #rest }))
}

/// A factor of 1 or more.
fn number(part: &ParseNestedMeta<'_>) -> syn::Result<f64> {
    let input = part.value()?;
    let factor: f64 = if input.peek(LitInt) {
        input.parse::<LitInt>()?.base10_parse()?
    } else if input.peek(LitFloat) {
        input.parse::<LitFloat>()?.base10_parse()?
    } else {
        return Err(part.error("`factor` is a number of 1 or more"));
    };
    match 1.0 <= factor && !input.peek(Token![.]) {
        true => Ok(factor),
        false => Err(part.error("`factor` is a number of 1 or more")),
    }
}

/// The kind of a job of this name: its words, joined by `_`.
fn kind_of(name: &Ident) -> String {
    let mut kind = String::new();
    let letters: Vec<char> = name.unraw().to_string().chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let begins = letter.is_uppercase()
            && at != 0
            && (!letters[at - 1].is_uppercase()
                || letters.get(at + 1).is_some_and(|next| next.is_lowercase()));
        if begins {
            kind.push('_');
        }
        kind.extend(letter.to_lowercase());
    }
    kind
}

fn implementation(name: &Ident, options: &Options) -> TokenStream {
    let kind = options.kind.clone().unwrap_or_else(|| kind_of(name));
    let mut policy = TokenStream::new();
    if let Some(attempts) = options.attempts {
        policy.extend(quote!(attempts: ::core::option::Option::Some(#attempts),));
    }
    if let Some(timeout) = &options.timeout {
        policy.extend(quote!(timeout: #timeout,));
    }
    if let Some(priority) = options.priority {
        // It was checked to be from 0 to 9.
        let priority = proc_macro2::Literal::u32_unsuffixed(priority);
        policy.extend(quote!(priority: #priority,));
    }
    if let Some(backoff) = &options.backoff {
        policy.extend(quote!(backoff: #backoff,));
    }
    if let Some(span) = &options.unique_for {
        policy.extend(quote!(unique_for: ::core::option::Option::Some(#span),));
    }
    let unique = options.unique.as_ref().map(|key| {
        quote! {
            fn unique(&self) -> ::core::option::Option<::std::string::String> {
                ::core::option::Option::Some(::std::string::ToString::to_string(&#key))
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl ::updraft::Job for #name {
            const KIND: &'static str = #kind;
            const POLICY: ::updraft::JobPolicy =
                ::updraft::JobPolicy { #policy ..::updraft::JobPolicy::DEFAULT };
            #unique
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        expand(&syn::parse_str(text).unwrap()).to_string()
    }

    #[test]
    fn the_kind_is_the_words_of_the_name() {
        for (name, kind) in [
            ("Remind", "remind"),
            ("SendMail", "send_mail"),
            ("SyncHTTPCache", "sync_http_cache"),
            ("A", "a"),
        ] {
            assert_eq!(kind_of(&format_ident!("{name}")), kind);
        }
    }

    #[test]
    fn the_name_of_a_field_is_the_field_and_any_expression_may_be_the_key() {
        assert!(expanded("#[job(unique = id)] struct A { id: u8 }").contains("& self . id"));
        let both = expanded("#[job(unique = format!(\"{}\", self.id))] struct A { id: u8 }");
        assert!(both.contains("format ! (\"{}\" , self . id)"), "{both}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (wrong, word) in [
            ("#[job(attempt = 3)] struct A;", "did you mean `attempts`"),
            ("#[job(attempts = 0)] struct A;", "from 1"),
            ("#[job(priority = 10)] struct A;", "from 0 to 9"),
            ("#[job(timeout = \"soon\")] struct A;", "span of time"),
            ("#[job(unique_for = \"1h\")] struct A;", "needs `unique`"),
            ("#[job(backoff = \"1s\")] struct A;", "backoff(first"),
            ("#[job(backoff(factor = 0.5))] struct A;", "1 or more"),
            ("struct A<T>(T);", "generics"),
        ] {
            let told = expanded(wrong);
            assert!(told.contains("compile_error") && told.contains(word), "{wrong}: {told}");
        }
    }
}
