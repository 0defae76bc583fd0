//! The fields between the brackets of an attribute: `key = value`, a word alone, a value
//! alone.

use proc_macro2::{Ident, Span, TokenStream};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, Token};

use crate::findings::Findings;
use crate::nearest::nearest;

/// What a set of fields may have.
pub(crate) struct Known {
    /// As it is called in messages.
    pub(crate) owner: &'static str,
    /// Fields with a value.
    pub(crate) keys: &'static [&'static str],
    /// Words that stand alone.
    pub(crate) words: &'static [&'static str],
    /// The key of a value that stands alone.
    pub(crate) alone: Option<&'static str>,
}

/// The fields that were given; those with a name are known ones, and there once.
pub(crate) struct Fields {
    known: &'static Known,
    span: Span,
    given: Vec<(Ident, Option<Expr>)>,
    /// Fields that were meant by misspelt ones.
    meant: Vec<&'static str>,
    /// They could not be read to their end, so nobody knows what is missing.
    broken: bool,
}

impl Fields {
    /// Reads them; `span` is where missing ones are reported.
    pub(crate) fn read(
        known: &'static Known,
        span: Span,
        tokens: TokenStream,
        findings: &mut Findings,
    ) -> Self {
        let parsed = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(tokens);
        let broken = parsed.is_err();
        let all = findings.keep(parsed).unwrap_or_default();
        Self { broken, ..Self::sort(known, span, all, findings) }
    }

    /// Sorts fields that have been read.
    pub(crate) fn sort(
        known: &'static Known,
        span: Span,
        all: impl IntoIterator<Item = Expr>,
        findings: &mut Findings,
    ) -> Self {
        let mut fields = Self { known, span, given: Vec::new(), meant: Vec::new(), broken: false };
        for expression in all {
            fields.add(expression, findings);
        }
        fields
    }

    fn add(&mut self, expression: Expr, findings: &mut Findings) {
        match expression {
            Expr::Assign(assign) => match word(&assign.left) {
                Some(key) => self.name(key, Some(*assign.right), findings),
                None => findings.add(assign.left, "the name of a field is a word"),
            },
            Expr::Path(_) if let Some(key) = word(&expression) => self.name(key, None, findings),
            other => match self.known.alone {
                Some(key) => self.name(Ident::new(key, other.span()), Some(other), findings),
                None => findings.add(
                    other,
                    format_args!(
                        "a value needs its field: {} has {}",
                        self.known.owner,
                        self.all()
                    ),
                ),
            },
        }
    }

    fn name(&mut self, key: Ident, value: Option<Expr>, findings: &mut Findings) {
        let Known { owner, keys, words, .. } = self.known;
        let name = key.to_string();
        let (has_value, stands_alone) =
            (keys.contains(&name.as_str()), words.contains(&name.as_str()));
        if !has_value && !stands_alone {
            let known: Vec<_> = keys.iter().chain(*words).copied().collect();
            let meant = nearest(&name, &known);
            self.meant.extend(meant);
            let meant = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it has {}", self.all()),
            };
            findings.add(key, format_args!("{owner} has no `{name}`; {meant}"));
        } else if self.given.iter().any(|(other, _)| *other == name) {
            findings.add(key, format_args!("`{name}` is given twice"));
        } else if has_value && value.is_none() {
            findings.add(key, format_args!("`{name}` needs a value: `{name} = …`"));
        } else if stands_alone && value.is_some() {
            findings.add(value, format_args!("`{name}` stands alone, without a value"));
        } else {
            self.given.push((key, value));
        }
    }

    fn all(&self) -> String {
        let all: Vec<_> =
            self.known.keys.iter().chain(self.known.words).map(|it| format!("`{it}`")).collect();
        all.join(", ")
    }

    /// The value of a field, where it was given.
    pub(crate) fn get(&self, key: &str) -> Option<&Expr> {
        self.given.iter().find(|(given, _)| given == key)?.1.as_ref()
    }

    /// The value of a field as `read` reads it; what it does not like is reported.
    pub(crate) fn value<T>(
        &self,
        key: &str,
        findings: &mut Findings,
        read: impl FnOnce(&Expr) -> syn::Result<T>,
    ) -> Option<T> {
        self.get(key).and_then(|value| findings.keep(read(value)))
    }

    /// Whether a word was given.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.given.iter().any(|(given, _)| given == word)
    }

    /// Reports it when none of `keys` was given.
    pub(crate) fn require(&self, keys: &[&str], findings: &mut Findings) {
        let there = |key: &&str| self.has(key) || self.meant.contains(key);
        if !self.broken && !keys.iter().any(there) {
            let keys: Vec<_> = keys.iter().map(|key| format!("`{key} = …`")).collect();
            let owner = self.known.owner;
            let message = format_args!("{owner} needs {}", keys.join(" or ")).to_string();
            findings.take_in(syn::Error::new(self.span, message));
        }
    }

    /// Reports a field that does nothing without another one.
    pub(crate) fn needs(&self, key: &str, other: &str, findings: &mut Findings) {
        if let Some((given, _)) = self.given.iter().find(|(given, _)| given == key)
            && !self.has(other)
        {
            findings.add(given, format_args!("`{key}` does nothing without `{other}`"));
        }
    }
}

/// An expression that is one word.
pub(crate) fn word(expression: &Expr) -> Option<Ident> {
    match expression {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident().cloned(),
        _ => None,
    }
}
