//! `#[timeout(…)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;

use crate::fields::{Fields, Known};
use crate::findings::Findings;
use crate::layer::Source;
use crate::value::{duration, option, span};

const KNOWN: Known = Known {
    owner: "`#[timeout]`",
    keys: &["attempt", "total", "name", "clock"],
    words: &[],
    alone: Some("attempt"),
};

pub(crate) fn read(at: Span, tokens: TokenStream, findings: &mut Findings) -> Option<Source> {
    let fields = Fields::read(&KNOWN, at, tokens, findings);
    fields.require(&["attempt", "total"], findings);
    let attempt = fields.value("attempt", findings, span);
    let total = fields.value("total", findings, span);
    if let (Some(attempt), Some(total)) = (attempt, total)
        && attempt > total
    {
        findings.add(fields.get("attempt"), "must be at most `total`");
    }
    let (attempt, total) = (option(attempt.map(duration)), option(total.map(duration)));
    let config = quote!(attempt_timeout: #attempt, deadline: #total);
    Some(Source::own(&fields, config, findings))
}
