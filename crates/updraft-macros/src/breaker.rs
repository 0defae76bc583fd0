//! `#[circuit_breaker(…)]`.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Expr, ExprLit, Lit};

use crate::fields::{Fields, Known};
use crate::findings::Findings;
use crate::layer::Source;
use crate::value::{self, duration, integer, number, span_within};

const KNOWN: Known = Known {
    owner: "`#[circuit_breaker]`",
    keys: &[
        "failure_threshold",
        "failure_rate",
        "window",
        "min_calls",
        "recovery_timeout",
        "half_open_calls",
        "name",
        "clock",
    ],
    words: &[],
    alone: None,
};

/// The calls of which a rate is taken.
#[derive(Clone, Copy)]
enum Window {
    Count(u32),
    Time(Duration),
}

const MOST_CALLS: u32 = 65_536;
const MOST_NEEDED: u32 = 30_000;
const MOST_PROBES: u32 = 500;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn read(span: Span, tokens: TokenStream, findings: &mut Findings) -> Option<Source> {
    let fields = Fields::read(&KNOWN, span, tokens, findings);
    fields.require(&["failure_threshold", "failure_rate"], findings);
    fields.needs("window", "failure_rate", findings);
    fields.needs("min_calls", "failure_rate", findings);
    let mut trips = Vec::new();
    let threshold = |value: &Expr| integer(value, 1..=u32::MAX);
    if let Some(failures) = fields.value("failure_threshold", findings, threshold) {
        trips.push(quote!(::updraft_resilience::breaker::Trip::consecutive(#failures)));
    }
    trips.extend(rate(&fields, findings));
    let open_for = |value: &Expr| {
        span_within(value, Duration::from_millis(1)..=Duration::MAX, "at least 1 ms")
    };
    let open_for = fields.value("recovery_timeout", findings, open_for).map(|span| {
        let span = duration(span);
        quote!(.open_for(::updraft_resilience::breaker::OpenFor::fixed(#span)))
    });
    let probes = |value: &Expr| integer(value, 1..=MOST_PROBES);
    let half_open = fields
        .value("half_open_calls", findings, probes)
        .map(|calls| quote!(.half_open(::updraft_resilience::breaker::HalfOpen::permits(#calls))));
    let config = quote! {
        breaker: ::core::option::Option::Some(
            ::updraft_resilience::breaker::BreakerConfig::any_of([#(#trips),*])
                #open_for
                #half_open
        )
    };
    Some(Source::own(&fields, config, findings))
}

/// The rate, where it is asked for.
fn rate(fields: &Fields, findings: &mut Findings) -> Option<TokenStream> {
    let share =
        |value: &Expr| number(value, |share| share > 0.0 && share <= 1.0, "above 0 and at most 1");
    let at_least = fields.value("failure_rate", findings, share);
    let window = fields.value("window", findings, window);
    let most = match window {
        Some(Window::Count(calls)) => calls,
        Some(Window::Time(_)) | None => MOST_NEEDED,
    };
    let needed = |value: &Expr| integer(value, 1..=most);
    let min_calls = fields.value("min_calls", findings, needed).unwrap_or(most.min(20));
    let over = window.map(|window| {
        let window = match window {
            Window::Count(calls) => quote!(Count(#calls)),
            Window::Time(span) => {
                let span = duration(span);
                quote!(Time(#span))
            }
        };
        quote!(.over(::updraft_resilience::breaker::Window::#window))
    });
    let at_least = at_least?;
    Some(quote! {
        ::updraft_resilience::breaker::Trip::failure_rate(#at_least) #over .min_calls(#min_calls)
    })
}

fn window(value: &Expr) -> syn::Result<Window> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(_), .. }) => {
            integer(value, 1..=MOST_CALLS).map(Window::Count)
        }
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) => {
            let range = Duration::from_millis(100)..=DAY;
            value::span_within(value, range, "from 100 ms to 24 h").map(Window::Time)
        }
        _ => Err(syn::Error::new_spanned(
            value,
            "must be a span of time like \"10s\" or a number of calls like 100",
        )),
    }
}
