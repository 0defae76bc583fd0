//! Names of a contract as names of Rust.

use proc_macro2::{Ident, Span};

/// Words that no name can be, not even with `r#`.
const NEVER: [&str; 5] = ["self", "Self", "super", "crate", "_"];

/// The words of a name in any of the usual spellings.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = None;
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_lower = letters.peek().is_some_and(|next| next.is_lowercase());
        let begins = match before {
            None => true,
            Some(before) if !char::is_alphanumeric(before) => true,
            // `pageCount`, `HTTPError`
            Some(before) => {
                letter.is_uppercase()
                    && (before.is_lowercase() || before.is_numeric() || next_is_lower)
            }
        };
        if letter.is_alphanumeric() {
            if begins || words.is_empty() {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
        before = Some(letter);
    }
    words
}

fn sound(name: String, empty: &str) -> String {
    match name.chars().next() {
        None => empty.to_owned(),
        Some(first) if first.is_numeric() => format!("_{name}"),
        Some(_) => name,
    }
}

/// As a field, an argument or a function.
pub(super) fn snake(name: &str) -> String {
    sound(words(name).join("_"), "empty")
}

/// As a type or a variant.
pub(super) fn pascal(name: &str) -> String {
    let capital = |word: &String| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    sound(words(name).iter().map(capital).collect(), "Empty")
}

/// The identifier of a name that is made of letters, digits and `_`.
pub(super) fn ident(name: &str) -> Ident {
    if NEVER.contains(&name) {
        return Ident::new(&format!("{name}_"), Span::call_site());
    }
    match syn::parse_str::<Ident>(name) {
        Ok(_plain) => Ident::new(name, Span::call_site()),
        Err(_keyword) => Ident::new_raw(name, Span::call_site()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelt_as_rust_spells_them() {
        for (name, as_snake, as_pascal) in [
            ("pageCount", "page_count", "PageCount"),
            ("page_count", "page_count", "PageCount"),
            ("Page-Count", "page_count", "PageCount"),
            ("HTTPError", "http_error", "HttpError"),
            ("x", "x", "X"),
            ("v2Order", "v2_order", "V2Order"),
            ("2nd", "_2nd", "_2nd"),
            ("$%", "empty", "Empty"),
            ("größe", "größe", "Größe"),
        ] {
            assert_eq!((&*snake(name), &*pascal(name)), (as_snake, as_pascal), "{name}");
        }
        for (name, expected) in [("type", "r#type"), ("self", "self_"), ("order", "order")] {
            assert_eq!(ident(name).to_string(), expected);
        }
    }
}
