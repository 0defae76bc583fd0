//! One attribute of ours on a function, read and checked.

use proc_macro2::{Span, TokenStream};
use syn::{Expr, LitStr};

use crate::fields::Fields;
use crate::findings::Findings;
use crate::{breaker, bulkhead, guard, retry, timeout, value};

/// Which attribute it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    CircuitBreaker,
    Retry,
    Bulkhead,
    Timeout,
    Guard,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::CircuitBreaker, Self::Retry, Self::Bulkhead, Self::Timeout, Self::Guard];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CircuitBreaker => "circuit_breaker",
            Self::Retry => "retry",
            Self::Bulkhead => "bulkhead",
            Self::Timeout => "timeout",
            Self::Guard => "guard",
        }
    }

    /// The kind of an attribute, by the last word of its path.
    pub(crate) fn of(path: &syn::Path) -> Option<Self> {
        let last = path.segments.last()?;
        Self::ALL.into_iter().find(|kind| last.ident == kind.name())
    }
}

/// A policy around the function.
pub(crate) struct Layer {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    pub(crate) source: Source,
}

/// Where its policy comes from.
pub(crate) enum Source {
    /// It is the function's own.
    Own { name: Option<LitStr>, clock: Option<Box<Expr>>, config: TokenStream },
    /// It is there.
    Given { policy: Box<Expr>, once: bool, priority: Option<Box<Expr>> },
}

impl Layer {
    /// `None`: it has mistakes, which are reported.
    pub(crate) fn read(
        kind: Kind,
        span: Span,
        tokens: TokenStream,
        findings: &mut Findings,
    ) -> Option<Self> {
        let read = match kind {
            Kind::CircuitBreaker => breaker::read,
            Kind::Retry => retry::read,
            Kind::Bulkhead => bulkhead::read,
            Kind::Timeout => timeout::read,
            Kind::Guard => guard::read,
        };
        let source = read(span, tokens, findings)?;
        Some(Self { kind, span, source })
    }

    /// Whether the function may be run more than once in one call.
    pub(crate) const fn repeats(&self) -> bool {
        match self.source {
            Source::Own { .. } => matches!(self.kind, Kind::Retry),
            Source::Given { once, .. } => !once,
        }
    }
}

impl Source {
    /// A policy of the function's own, with one part.
    pub(crate) fn own(fields: &Fields, config: TokenStream, findings: &mut Findings) -> Self {
        let name = fields.value("name", findings, value::text);
        Self::Own { name, clock: fields.get("clock").cloned().map(Box::new), config }
    }
}
