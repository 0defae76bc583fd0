//! The messages of mistakes in problems, each with the words that it points at.

use super::*;

fn findings(item: &str) -> Vec<String> {
    let input: DeriveInput = syn::parse_str(item).expect("a type");
    let mut findings = Findings::default();
    variants(&input, &mut findings);
    let one = |error: syn::Error| {
        let place = error.span().source_text().unwrap_or_else(|| "the derive".to_owned());
        format!("{place} | {error}")
    };
    findings.into_result().map_or_else(|error| error.into_iter().map(one).collect(), |()| vec![])
}

#[test]
fn mistakes_are_pointed_at_all_at_once() {
    for (item, expected) in [
        ("struct P;", &["P | a Problem is an enum; each of its variants is a kind"][..]),
        ("enum P {}", &["P | a Problem has at least one variant"]),
        (
            "enum P { A, #[problem(200)] B { title: u8 } }",
            &[
                "A | say which status this problem has: `#[problem(409)]`, or `#[problem(transparent)]` for one that holds another problem",
                "200 | a problem has a status of 400 to 599",
                "B | say which status this problem has: `#[problem(409)]`, or `#[problem(transparent)]` for one that holds another problem",
            ],
        ),
        (
            "enum P { #[problem(409, kind = \"x\")] B }",
            &[
                "kind | a variant knows its status, `type`, `title`, `detail`, `retry_after` and `transparent`",
            ],
        ),
        (
            "enum P { #[problem(409)] B { title: u8, #[problem(hidden)] c: u8 } }",
            &[
                "title | every problem has a member `title`: call the field something else",
                "hidden | a field knows `skip` and `retry_after`",
            ],
        ),
        (
            "enum P { #[problem(409, detail = \"no {book}\")] B { id: u8 } }",
            &["B | the detail: `{book}` is no field of this variant"],
        ),
        (
            "enum P { #[problem(transparent)] A, #[problem(409)] B(u8, u8) }",
            &[
                "A | this holds one problem: `Other(#[from] OtherProblem)`",
                "(u8, u8) | a variant without names holds one error; fields with names are members of the document",
            ],
        ),
        (
            "enum P { #[problem(500)] A(#[from] updraft::Error), #[problem(502)] B(#[from] Io) }",
            &[
                "Io | the variant of `updraft::Error` is made of every error, this one too: leave out `#[from]` here, and map it by hand",
            ],
        ),
        (
            "enum P { #[problem(500)] A(#[from] Io), #[problem(502)] B(#[from] Io) }",
            &["Io | another variant is made of this already"],
        ),
    ] {
        let expected: Vec<_> = expected.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(findings(item), expected, "{item}");
    }
}

#[test]
fn sound_problems_are_taken() {
    let item = "enum P {
        /// It is {id}
        #[problem(409, type = \"tag:x\", retry_after = 3)] A { id: u8, #[problem(skip)] by: u8 },
        #[problem(429)] B { #[problem(retry_after)] after: u32 },
        #[problem(transparent)] C(#[from] Other),
        #[problem(500)] D(#[from] Error),
    }";
    assert_eq!(findings(item), [""; 0]);
}
