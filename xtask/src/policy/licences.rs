//! Every crate from outside comes from crates.io under a licence of the list in
//! `deny.toml`. cargo-deny looks deeper; this check needs nothing installed.

use std::collections::BTreeSet;

use super::Tree;
use crate::tidy::Finding;

pub(super) fn findings(tree: &Tree, allowed: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree.outsiders() {
        let place = format!("{} {}", package.name, package.version);
        match &package.license {
            Some(licence) if permits(licence, allowed) => {}
            Some(licence) => {
                let text = format!("its licence `{licence}` is not allowed by deny.toml");
                findings.push(Finding::of(&place, text));
            }
            None => findings.push(Finding::of(&place, "it names no licence")),
        }
        if !package.source.as_ref().is_some_and(|source| source.is_crates_io()) {
            findings.push(Finding::of(&place, "it does not come from crates.io"));
        }
    }
    findings
}

/// Whether an SPDX expression can be kept with the allowed licences alone.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // Before SPDX expressions, cargo wrote "or" as a slash.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    reader.any_of() && reader.words.is_empty()
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a BTreeSet<String>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<&str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    // Both sides are read in full, whatever the first one says: `|` and `&`, never `||`.
    fn any_of(&mut self) -> bool {
        let mut permitted = self.all_of();
        while self.take("OR") {
            permitted |= self.all_of();
        }
        permitted
    }

    fn all_of(&mut self) -> bool {
        let mut permitted = self.one();
        while self.take("AND") {
            permitted &= self.one();
        }
        permitted
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let permitted = self.any_of();
            return self.take(")") && permitted;
        }
        let Some(name) = self.next().map(str::to_owned) else { return false };
        if self.take("WITH") {
            // An exception only ever adds permissions.
            self.next();
        }
        self.allowed.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_kept_or_not() {
        let allowed: BTreeSet<String> =
            ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned).into();
        for (expression, kept) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("MIT OR GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-3.0", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("MIT AND", false),
            ("MIT Apache-2.0", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(permits(expression, &allowed), kept, "{expression}");
        }
    }
}
