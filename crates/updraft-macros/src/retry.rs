//! `#[retry(…)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Expr;

use crate::backoff;
use crate::fields::{Fields, Known};
use crate::findings::Findings;
use crate::layer::Source;
use crate::value::{choice, duration, integer, option, span, switch};

const KNOWN: Known = Known {
    owner: "`#[retry]`",
    keys: &["attempts", "wait", "jitter", "elapsed", "budget", "name", "clock"],
    words: &[],
    alone: None,
};

const JITTERS: [&str; 4] = ["none", "full", "equal", "decorrelated"];

pub(crate) fn read(at: Span, tokens: TokenStream, findings: &mut Findings) -> Option<Source> {
    let fields = Fields::read(&KNOWN, at, tokens, findings);
    let attempts = |value: &Expr| integer(value, 1..=u32::MAX);
    let attempts = fields.value("attempts", findings, attempts);
    let attempts = attempts.map(|attempts| quote!(attempts: #attempts,));
    let wait = fields.get("wait").and_then(|wait| backoff::read(wait, findings));
    let jitter = fields.value("jitter", findings, |value| choice(value, &JITTERS)).map(jitter);
    let backoff = (wait.is_some() || jitter.is_some()).then(|| {
        let default =
            quote!(<::updraft_resilience::backoff::Backoff as ::core::default::Default>::default());
        let wait = wait.unwrap_or(default);
        quote!(backoff: #wait #jitter,)
    });
    let elapsed = fields.value("elapsed", findings, span);
    let elapsed = option(elapsed.map(duration));
    let budget = match fields.value("budget", findings, switch) {
        Some(false) => Some(quote!(budget: ::core::option::Option::None,)),
        Some(true) | None => None,
    };
    let config = quote! {
        retry: ::core::option::Option::Some(::updraft_resilience::retry::RetryConfig {
            #attempts
            elapsed: #elapsed,
            #backoff
            #budget
            ..::core::default::Default::default()
        })
    };
    Some(Source::own(&fields, config, findings))
}

fn jitter(word: &str) -> TokenStream {
    let jitter = match word {
        "none" => quote!(None),
        "equal" => quote!(Equal),
        "decorrelated" => quote!(Decorrelated),
        _ => quote!(Full),
    };
    quote!(.jitter(::updraft_resilience::backoff::Jitter::#jitter))
}
