//! The values of fields: spans of time, numbers, words in quotes.

use std::ops::RangeInclusive;
use std::time::Duration;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Expr, ExprLit, Lit, LitStr};

use crate::nearest::nearest;

fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        _ => None,
    }
}

fn refuse<T>(value: &Expr, message: impl std::fmt::Display) -> syn::Result<T> {
    Err(syn::Error::new_spanned(value, message))
}

/// A span of time, also an empty one.
pub(crate) fn any_span(value: &Expr) -> syn::Result<Duration> {
    let parsed = match literal(value) {
        Some(Lit::Str(text)) => humantime::parse_duration(&text.value()).ok(),
        _ => None,
    };
    match parsed {
        Some(span) => Ok(span),
        None => refuse(
            value,
            "a span of time is written like \"250ms\", \"2s\" or \"1m 30s\", in quotes",
        ),
    }
}

/// A span of time that is not empty.
pub(crate) fn span(value: &Expr) -> syn::Result<Duration> {
    match any_span(value)? {
        Duration::ZERO => refuse(value, "must be longer than nothing"),
        span => Ok(span),
    }
}

/// A span of time between two others.
pub(crate) fn span_within(
    value: &Expr,
    range: RangeInclusive<Duration>,
    said: &str,
) -> syn::Result<Duration> {
    let span = any_span(value)?;
    if range.contains(&span) { Ok(span) } else { refuse(value, format_args!("must be {said}")) }
}

/// A whole number.
pub(crate) fn integer(value: &Expr, range: RangeInclusive<u32>) -> syn::Result<u32> {
    let (least, most) = (*range.start(), *range.end());
    let parsed = match literal(value) {
        Some(Lit::Int(number)) => number.base10_parse::<u32>().ok(),
        _ => return refuse(value, "must be a whole number, written out"),
    };
    match parsed {
        Some(number) if range.contains(&number) => Ok(number),
        _ if most == u32::MAX && least > 0 && parsed.is_some() => {
            refuse(value, format_args!("must be at least {least}"))
        }
        _ => refuse(value, format_args!("must be from {least} to {most}")),
    }
}

/// A number that `sound` holds to be sound.
pub(crate) fn number(value: &Expr, sound: fn(f64) -> bool, said: &str) -> syn::Result<f64> {
    let parsed = match literal(value) {
        Some(Lit::Int(number)) => number.base10_parse::<f64>().ok(),
        Some(Lit::Float(number)) => number.base10_parse::<f64>().ok(),
        _ => None,
    };
    match parsed.filter(|number| number.is_finite() && sound(*number)) {
        Some(number) => Ok(number),
        None => refuse(value, format_args!("must be a number {said}")),
    }
}

/// `true` or `false`.
pub(crate) fn switch(value: &Expr) -> syn::Result<bool> {
    match literal(value) {
        Some(Lit::Bool(switch)) => Ok(switch.value),
        _ => refuse(value, "must be `true` or `false`"),
    }
}

/// A text that is not empty.
pub(crate) fn text(value: &Expr) -> syn::Result<LitStr> {
    match literal(value) {
        Some(Lit::Str(text)) if !text.value().is_empty() => Ok(text.clone()),
        _ => refuse(value, "must be a text in quotes, and not empty"),
    }
}

/// One of some words, in quotes.
pub(crate) fn choice(value: &Expr, words: &[&'static str]) -> syn::Result<&'static str> {
    let given = match literal(value) {
        Some(Lit::Str(text)) => text.value(),
        _ => String::new(),
    };
    if let Some(word) = words.iter().find(|word| **word == given) {
        return Ok(word);
    }
    let all: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    match nearest(&given, words) {
        Some(meant) => refuse(value, format_args!("did you mean {meant:?}?")),
        None => refuse(value, format_args!("must be one of {}", all.join(", "))),
    }
}

/// A span of time as an expression.
pub(crate) fn duration(span: Duration) -> TokenStream {
    let (seconds, nanos) = (span.as_secs(), span.subsec_nanos());
    quote!(::core::time::Duration::new(#seconds, #nanos))
}

/// A value that may be there, as an expression.
pub(crate) fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
