//! `#[bulkhead(…)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Expr;

use crate::fields::{Fields, Known};
use crate::findings::Findings;
use crate::layer::Source;
use crate::value::{duration, integer, span};

const KNOWN: Known = Known {
    owner: "`#[bulkhead]`",
    keys: &["max", "queue", "max_wait", "name", "clock"],
    words: &[],
    alone: None,
};

pub(crate) fn read(at: Span, tokens: TokenStream, findings: &mut Findings) -> Option<Source> {
    let fields = Fields::read(&KNOWN, at, tokens, findings);
    fields.require(&["max"], findings);
    fields.needs("max_wait", "queue", findings);
    let most = |value: &Expr| integer(value, 1..=u32::MAX >> 1);
    let max = fields.value("max", findings, most);
    let queue = fields.value("queue", findings, |value| integer(value, 0..=u32::MAX));
    let queue = queue.map(|queue| quote!(queue: #queue,));
    let max_wait = fields.value("max_wait", findings, span).map(|max_wait| {
        let max_wait = duration(max_wait);
        quote!(max_wait: #max_wait,)
    });
    let config = quote! {
        bulkhead: ::core::option::Option::Some(::updraft_resilience::bulkhead::BulkheadConfig {
            max: #max,
            #queue
            #max_wait
            ..::core::default::Default::default()
        })
    };
    Some(Source::own(&fields, config, findings))
}
