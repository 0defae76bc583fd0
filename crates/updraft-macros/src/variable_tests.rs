//! The words of variants, and the messages of mistakes.

use super::*;

fn findings(item: &str) -> Vec<String> {
    let input: DeriveInput = syn::parse_str(item).expect("an item");
    match checked(&input) {
        Ok(_) => Vec::new(),
        Err(error) => error.into_iter().map(|error| error.to_string()).collect(),
    }
}

#[test]
fn variants_are_words_in_kebab_case() {
    for (name, word) in [
        ("Eu", "eu"),
        ("EuWest", "eu-west"),
        ("EuWest1", "eu-west1"),
        ("HTTPServer", "http-server"),
        ("S3", "s3"),
        ("Top_Down", "top-down"),
    ] {
        assert_eq!(kebab(name), word);
    }
    let input = syn::parse_str("enum Region { #[variable(name = \"eu_1\")] Eu, UsEast }");
    let named = checked(&input.expect("an enum")).expect("it is sound");
    let words: Vec<_> = named.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(words, ["eu_1", "us-east"]);
}

#[test]
fn every_mistake_is_reported_at_once() {
    let item = "enum Region<T> { Eu(T), #[variable(nam = \"x\")] Us, #[variable(name = \"us\")] \
                America, #[variable(name = \"a b\")] Space }";
    assert_eq!(
        findings(item),
        [
            "a Variable of this kind has no generics",
            "a word of the environment holds no further values",
            "`#[variable]` has no `nam`; did you mean `name`?",
            "`us` is there already",
            "a word has no blanks and no commas",
        ]
    );
    for item in ["struct Region;", "enum Region {}"] {
        assert_eq!(findings(item).len(), 1, "{item}");
    }
}
