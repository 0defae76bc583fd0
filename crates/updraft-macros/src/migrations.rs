//! `migrations!("folder")`: the files of a folder, in the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, LitStr, Token};

use crate::findings::Findings;

/// What is written between the parentheses: folders, and migrations of other origin.
pub(crate) struct Parts(Punctuated<Expr, Token![,]>);

impl Parse for Parts {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Punctuated::parse_terminated(input).map(Self)
    }
}

/// Expands the macro.
pub(crate) fn expand(parts: &Parts) -> TokenStream {
    let mut findings = Findings::default();
    let mut migrations = Vec::new();
    for part in &parts.0 {
        match part {
            Expr::Lit(ExprLit { lit: Lit::Str(folder), .. }) => {
                migrations.extend(of_folder(folder, &mut findings));
            }
            other => migrations.push(quote!(#other)),
        }
    }
    match findings.into_result() {
        Ok(()) => quote!(const { &[#(#migrations),*] as &[::updraft::Migration] }),
        Err(error) => error.into_compile_error(),
    }
}

/// A migration by its files.
#[derive(Debug, Default, PartialEq, Eq)]
struct Files {
    name: String,
    both: Option<PathBuf>,
    sqlite: Option<PathBuf>,
    postgres: Option<PathBuf>,
}

fn of_folder(literal: &LitStr, findings: &mut Findings) -> Vec<TokenStream> {
    let Some(root) = std::env::var_os("CARGO_MANIFEST_DIR") else {
        findings.add(literal, "CARGO_MANIFEST_DIR is not set: build with cargo");
        return Vec::new();
    };
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let folder = Path::new(&root).join(literal.value());
    let paths = std::fs::read_dir(&folder).and_then(|entries| {
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()
    });
    let paths = match paths {
        Ok(paths) => paths,
        Err(error) => {
            findings.add(literal, format!("cannot read `{}`: {error}", folder.display()));
            return Vec::new();
        }
    };
    let (files, wrong) = sorted(paths);
    for wrong in wrong {
        findings.add(literal, &wrong);
    }
    files.into_iter().map(|files| migration(&package, &files)).collect()
}

/// The migrations by their numbers, and what is wrong with the files.
fn sorted(paths: Vec<PathBuf>) -> (Vec<Files>, Vec<String>) {
    let mut found: BTreeMap<u64, Files> = BTreeMap::new();
    let mut wrong = Vec::new();
    for path in paths {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((number, stem, kind)) = file.strip_suffix(".sql").and_then(parts) else {
            wrong.push(format!(
                "`{file}` is not called like a migration: `1_name.sql`, or `1_name.sqlite.sql` \
                 and `1_name.postgres.sql`"
            ));
            continue;
        };
        let files = found
            .entry(number)
            .or_insert_with(|| Files { name: stem.to_owned(), ..Files::default() });
        if files.name != stem {
            wrong.push(format!("`{stem}` and `{}` have the same number", files.name));
            continue;
        }
        match kind {
            Some("sqlite") => files.sqlite = Some(path),
            Some(_) => files.postgres = Some(path),
            None => files.both = Some(path),
        }
    }
    for files in found.values() {
        let name = &files.name;
        match (&files.both, &files.sqlite, &files.postgres) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => {}
            (Some(_), _, _) => wrong.push(format!(
                "`{name}` has a text for both kinds of database and one for one of them"
            )),
            (None, None, _) => wrong.push(format!("`{name}.sqlite.sql` is missing")),
            (None, _, None) => wrong.push(format!("`{name}.postgres.sql` is missing")),
        }
    }
    wrong.sort();
    (found.into_values().collect(), wrong)
}

/// Number, name with the number, and kind of database.
fn parts(name: &str) -> Option<(u64, &str, Option<&str>)> {
    let (stem, kind) = match name.rsplit_once('.') {
        Some((stem, kind @ ("sqlite" | "postgres"))) => (stem, Some(kind)),
        Some(_) => return None,
        None => (name, None),
    };
    let (number, rest) = stem.split_once('_')?;
    let plain = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    (!rest.is_empty() && rest.chars().all(plain)).then_some(())?;
    Some((number.parse().ok()?, stem, kind))
}

fn migration(package: &str, files: &Files) -> TokenStream {
    let name = format!("{package}/{}", files.name);
    let text = |path: &Option<PathBuf>| {
        let path = path.as_deref().unwrap_or(Path::new("")).to_string_lossy().into_owned();
        quote!(::core::include_str!(#path))
    };
    if files.both.is_some() {
        let both = text(&files.both);
        quote!(::updraft::Migration::new(#name, #both))
    } else {
        let (sqlite, postgres) = (text(&files.sqlite), text(&files.postgres));
        quote!(::updraft::Migration::of_kinds(#name, #sqlite, #postgres))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> (Vec<String>, Vec<String>) {
        let (files, wrong) = sorted(names.iter().map(PathBuf::from).collect());
        (files.into_iter().map(|files| files.name).collect(), wrong)
    }

    #[test]
    fn migrations_are_in_the_order_of_their_numbers() {
        let (names, wrong) =
            of(&["10_c.sql", "2_b.postgres.sql", "2_b.sqlite.sql", "1_a.sql", "0011_d.sql"]);
        assert_eq!(names, ["1_a", "2_b", "10_c", "0011_d"]);
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn every_wrong_file_is_named() {
        for (names, word) in [
            (&["a.sql"][..], "`a.sql`"),
            (&["1_a.txt"], "`1_a.txt`"),
            (&["1_a.mysql.sql"], "`1_a.mysql.sql`"),
            (&["1_a.sql", "1_b.sql"], "same number"),
            (&["1_a.sqlite.sql"], "`1_a.postgres.sql`"),
            (&["1_a.postgres.sql"], "`1_a.sqlite.sql`"),
            (&["1_a.sql", "1_a.sqlite.sql"], "both"),
        ] {
            let (_, wrong) = of(names);
            assert!(wrong.iter().any(|it| it.contains(word)), "{names:?}: {wrong:?}");
        }
    }
}
