//! What the attribute makes of a function, and what it refuses.

use quote::quote;

use super::expand;

fn expanded(fields: proc_macro2::TokenStream) -> String {
    expand(
        fields,
        quote!(
            async fn name(t: TestApp<Orders>) {}
        ),
    )
    .to_string()
}

#[test]
fn each_kind_is_a_test_and_without_kinds_there_is_one() {
    let both = expanded(quote!(kinds = ["sqlite", "postgres+redis"], service = orders::service));
    for part in ["fn sqlite ()", "fn postgres_redis ()", "orders :: service", "super :: name"] {
        assert!(both.contains(part), "{part}: {both}");
    }
    let one = expanded(quote!(vars = [("A", "b")]));
    for part in ["fn name ()", "crate :: service", ". variable (\"A\" , \"b\")"] {
        assert!(one.contains(part), "{part}: {one}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    for (fields, word) in [
        (quote!(kinds = ["postgress"]), "did you mean `postgres`"),
        (quote!(kinds = ["nats", "nats"]), "twice"),
        (quote!(kinds = []), "no test"),
        (quote!(kind = ["nats"]), "did you mean `kinds`"),
        (quote!(vars = ["A"]), "parentheses"),
    ] {
        let text = expanded(fields);
        assert!(text.contains("compile_error") && text.contains(word), "{word}: {text}");
    }
    let text = expand(
        quote!(),
        quote!(
            fn name() {}
        ),
    )
    .to_string();
    assert!(text.contains("async function") && text.contains("TestApp"), "{text}");
}
