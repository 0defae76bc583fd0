//! The waits of `#[retry(wait = …)]`.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Expr, ExprCall};

use crate::fields::{Fields, Known, word};
use crate::findings::Findings;
use crate::nearest::nearest;
use crate::value::{any_span, duration, number, span};

const CONSTANT: Known =
    Known { owner: "`constant(…)`", keys: &["wait"], words: &[], alone: Some("wait") };
const LINEAR: Known =
    Known { owner: "`linear(…)`", keys: &["first", "step", "max"], words: &[], alone: None };
const EXPONENTIAL: Known = Known {
    owner: "`exponential(…)`",
    keys: &["min", "max", "multiplier", "factor"],
    words: &[],
    alone: None,
};
const FIBONACCI: Known =
    Known { owner: "`fibonacci(…)`", keys: &["unit", "max"], words: &[], alone: None };

const FORMS: [&str; 4] = ["constant", "linear", "exponential", "fibonacci"];

/// The backoff as an expression. `None`: it has mistakes, which are reported.
pub(crate) fn read(wait: &Expr, findings: &mut Findings) -> Option<TokenStream> {
    const ALL: &str = "waits are one of `constant(…)`, `linear(…)`, `exponential(…)` and \
                       `fibonacci(…)`";
    let Expr::Call(ExprCall { func, args, .. }) = wait else {
        findings.add(wait, ALL);
        return None;
    };
    let form = word(func).map(|form| form.to_string()).unwrap_or_default();
    let (known, read): (&'static Known, fn(&Fields, Span, &mut Findings) -> _) = match &*form {
        "constant" => (&CONSTANT, constant),
        "linear" => (&LINEAR, linear),
        "exponential" => (&EXPONENTIAL, exponential),
        "fibonacci" => (&FIBONACCI, fibonacci),
        _ => {
            match nearest(&form, &FORMS) {
                Some(meant) => findings.add(func, format_args!("did you mean `{meant}`?")),
                None => findings.add(func, ALL),
            }
            return None;
        }
    };
    let fields = Fields::sort(known, func.span(), args.iter().cloned(), findings);
    read(&fields, func.span(), findings)
}

fn constant(fields: &Fields, _: Span, findings: &mut Findings) -> Option<TokenStream> {
    fields.require(&["wait"], findings);
    let wait = duration(fields.value("wait", findings, any_span)?);
    Some(quote!(::updraft_resilience::backoff::Backoff::constant(#wait)))
}

fn linear(fields: &Fields, _: Span, findings: &mut Findings) -> Option<TokenStream> {
    fields.require(&["first"], findings);
    fields.require(&["step"], findings);
    let first = fields.value("first", findings, any_span);
    let step = fields.value("step", findings, any_span);
    let max = bound(fields, "first", first, findings);
    let (first, step) = (duration(first?), duration(step?));
    Some(quote!(::updraft_resilience::backoff::Backoff::linear(#first, #step) #max))
}

fn fibonacci(fields: &Fields, _: Span, findings: &mut Findings) -> Option<TokenStream> {
    fields.require(&["unit"], findings);
    let unit = fields.value("unit", findings, span);
    let max = bound(fields, "unit", unit, findings);
    let unit = duration(unit?);
    Some(quote!(::updraft_resilience::backoff::Backoff::fibonacci(#unit) #max))
}

/// `max`, which must not be shorter than `first`.
fn bound(
    fields: &Fields,
    key: &str,
    first: Option<Duration>,
    findings: &mut Findings,
) -> Option<TokenStream> {
    let max = fields.value("max", findings, any_span)?;
    if first.is_some_and(|first| first > max) {
        findings.add(fields.get("max"), format_args!("must be at least `{key}`"));
    }
    let max = duration(max);
    Some(quote!(.max(#max)))
}

fn exponential(fields: &Fields, at: Span, findings: &mut Findings) -> Option<TokenStream> {
    fields.require(&["min"], findings);
    fields.require(&["max"], findings);
    let min = fields.value("min", findings, any_span);
    let max = fields.value("max", findings, span);
    let factor = fields
        .value("factor", findings, |value| number(value, |factor| factor >= 1.0, "of at least 1"));
    let multiplier = fields.value("multiplier", findings, multiplier);
    let (min, max) = (min?, max?);
    if min > max {
        findings.add(fields.get("max"), "must be at least `min`");
    }
    if min.is_zero() && !fields.has("multiplier") {
        let message = "with a `min` of nothing a `multiplier` must tell the first wait";
        findings.take_in(syn::Error::new(at, message));
    }
    let first = duration(multiplier.unwrap_or(min).min(max));
    let (min, max) = (duration(min), duration(max));
    let factor = factor.map(|factor| quote!(.factor(#factor)));
    Some(quote! {
        ::updraft_resilience::backoff::Backoff::exponential(#first, #max) #factor .min(#min)
    })
}

/// Seconds, as in tenacity.
fn multiplier(value: &Expr) -> syn::Result<Duration> {
    const SAID: &str = "of seconds above 0";
    let seconds = number(value, |seconds| seconds > 0.0, SAID)?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(span) if !span.is_zero() => Ok(span),
        _ => Err(syn::Error::new_spanned(value, format_args!("must be a number {SAID}"))),
    }
}
