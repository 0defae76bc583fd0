//! `#[guard(…)]`.

use proc_macro2::{Span, TokenStream};

use crate::fields::{Fields, Known};
use crate::findings::Findings;
use crate::layer::Source;

const KNOWN: Known =
    Known { owner: "`#[guard]`", keys: &["policy", "priority"], words: &["once"], alone: None };

pub(crate) fn read(span: Span, tokens: TokenStream, findings: &mut Findings) -> Option<Source> {
    let fields = Fields::read(&KNOWN, span, tokens, findings);
    fields.require(&["policy"], findings);
    Some(Source::Given {
        policy: Box::new(fields.get("policy")?.clone()),
        once: fields.has("once"),
        priority: fields.get("priority").cloned().map(Box::new),
    })
}
