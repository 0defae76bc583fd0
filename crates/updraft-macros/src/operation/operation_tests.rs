//! The messages of mistakes in operations, each with the words that it points at.

use super::*;

/// What is reported, as `place | message`.
fn findings(method: Method, fields: &str, item: &str) -> Vec<String> {
    let (fields, item): (TokenStream, TokenStream) =
        (fields.parse().expect("fields"), item.parse().expect("an item"));
    let function: ItemFn = syn::parse2(item).expect("a function");
    let mut findings = Findings::default();
    let options = Options::read(fields, &mut findings);
    check_function(&function, &mut findings);
    let arguments = arguments(&function, &mut findings);
    let template = options.path.as_ref().and_then(|path| Template::read(path, &mut findings));
    if let Some(template) = &template {
        check_path(template, &arguments, &mut findings);
    }
    check_body(method, &arguments, &mut findings);
    check_idempotent(method, &options, &mut findings);
    let one = |error: syn::Error| {
        let place = error.span().source_text().unwrap_or_else(|| "the attribute".to_owned());
        format!("{place} | {error}")
    };
    findings.into_result().map_or_else(|error| error.into_iter().map(one).collect(), |()| vec![])
}

#[track_caller]
fn check(method: Method, fields: &str, item: &str, expected: &[&str]) {
    assert_eq!(findings(method, fields, item), expected, "{fields} {item}");
}

#[test]
fn sound_operations_are_taken() {
    for (method, fields, item) in [
        (Method::Get, r#""/""#, "async fn f() {}"),
        (Method::Get, r#""/a/{id}""#, "async fn f(id: Path<u32>) {}"),
        (Method::Get, r#""/a/{id}""#, "async fn f(id: updraft::http::Valid<Path<u32>>) {}"),
        (Method::Get, r#""/a/{id}/{no}""#, "async fn f(Path((a, b)): Path<(u32, u8)>) {}"),
        (Method::Get, r#""/a/{id}/{no}""#, "async fn f(path: Path<Both>) {}"),
        (Method::Get, r#""/a/{id}""#, "async fn f(all: Raw<RawPathParams>) {}"),
        (Method::Post, r#""/a", scope = "a:w", since = 1, until = 3,"#, "fn f(a: Json<A>) {}"),
        (Method::Put, r#"path = "/a", tags = ["a", "b"], id = "x""#, "async fn f(a: Valid<A>) {}"),
        (Method::Post, r#""/a", idempotent, scope = "a:w""#, "async fn f(a: Json<A>) {}"),
        (Method::Patch, r#""/a", idempotent = "optional""#, "async fn f(a: Json<A>) {}"),
        (Method::Post, r#""/a", idempotent = "required""#, "async fn f(a: Json<A>) {}"),
        (Method::Delete, r#""/a", scopes = ["a", "b"]"#, "async fn f(q: Valid<Query<Q>>) {}"),
    ] {
        check(method, fields, item, &[]);
    }
}

#[test]
fn wrong_fields_are_pointed_at() {
    let item = "async fn f() {}";
    for (fields, expected) in [
        (
            "",
            &["the attribute | the template of the path is needed: `#[get(\"/orders/{id}\")]`"][..],
        ),
        (r#""/a", scop = "x""#, &["scop | `scop` is unknown; did you mean `scope`?"]),
        (r#""/a", since = 0"#, &["0 | a version is a whole number from 1"]),
        (
            r#""/a", since = 0, until = 0"#,
            &["0 | a version is a whole number from 1", "0 | a version is a whole number from 1"],
        ),
        (
            r#""/a", since = 2, until = 2"#,
            &[
                "the attribute | `until` is the first version without it, so it is more than `since`",
            ],
        ),
        (
            r#""/a", until = 2"#,
            &["the attribute | `until` needs `since`: say in which version it came"],
        ),
        (
            r#""/a", idempotent = "yes", since = 0"#,
            &[
                "\"yes\" | a key is \"required\", as without a value, or \"optional\"",
                "0 | a version is a whole number from 1",
            ],
        ),
        (
            r#""/a", idempotent"#,
            &[
                "idempotent | keys are for `post` and `patch`: the other methods are idempotent by themselves",
            ],
        ),
        (r#""/a", tags = "x""#, &["\"x\" | a list of texts is written `[\"one\", \"two\"]`"]),
    ] {
        check(Method::Get, fields, item, expected);
    }
}

#[test]
fn a_template_says_everything_that_is_wrong_with_it() {
    for (path, expected) in [
        ("a", &["a path begins with `/`"][..]),
        ("/a/", &["a path does not end with `/`"]),
        ("/a//b", &["a path has no empty part: `//`"]),
        ("/a/:id", &["a parameter is written `{id}`"]),
        ("/{id}/{id}", &["`id` is there twice"]),
        ("/{*rest}", &["a contract cannot say the rest of a path: route it with `Api::router`"]),
        ("/{Id}", &["`Id` is no name of a parameter"]),
        ("/a{id}", &["`a{id}`: a parameter is a whole part of a path"]),
        ("/a b", &["` ` must be percent-encoded in a path"]),
        ("a/{1}", &["a path begins with `/`", "`1` is no name of a parameter"]),
    ] {
        let literal = format!("{path:?}");
        let expected: Vec<_> = expected.iter().map(|say| format!("{literal} | {say}")).collect();
        assert_eq!(findings(Method::Get, &literal, "async fn f() {}"), expected, "{path}");
    }
}

#[test]
fn path_and_body_are_held_against_the_arguments() {
    for (method, path, item, expected) in [
        (
            Method::Get,
            "/a/{id}/{no}",
            "async fn f() {}",
            &["\"/a/{id}/{no}\" | nothing reads `id`, `no` of the path: take a `Path<…>`"][..],
        ),
        (
            Method::Get,
            "/a",
            "async fn f(id: Path<u32>) {}",
            &["u32 | the path has no `{parameter}` to read"],
        ),
        (
            Method::Get,
            "/a/{id}",
            "async fn f(id: Path<(u32, u32)>) {}",
            &["(u32, u32) | the path has 1 parameters, and this reads 2"],
        ),
        (
            Method::Get,
            "/a/{id}",
            "async fn f(id: Path<u32>, again: Path<u8>) {}",
            &["u8 | the path is read once: take a tuple or a struct"],
        ),
        (
            Method::Get,
            "/a",
            "async fn f(new: Json<A>) {}",
            &[
                "Json<A> | a request of this method has no body; read the path, the query or headers",
            ],
        ),
        (
            Method::Post,
            "/a",
            "async fn f(new: Json<A>, text: String) {}",
            &["String | the body is read once"],
        ),
        (
            Method::Post,
            "/a",
            "async fn f<T>(&self, a: &A, b: Ctx<A>, c: Ctx<A>) -> impl B {}",
            &[
                "<T> | an operation has no type parameters",
                "impl B | the contract needs the name of the type: write it, or `Raw<Response>`",
                "&self | an operation has no `self`: read `Ctx<…>` of the App",
                "&A | an operation owns what it reads: write no reference",
                "Ctx<A> | an operation is of one App: one argument is its `Ctx`",
            ],
        ),
    ] {
        check(method, &format!("{path:?}"), item, expected);
    }
}

#[test]
fn a_mistake_leaves_the_name_so_that_nothing_else_is_reported() {
    let expanded =
        expand(Method::Get, "\"a\"".parse().unwrap(), "async fn show() {}".parse().unwrap());
    let expanded = expanded.to_string();
    assert!(expanded.contains("compile_error"), "{expanded}");
    assert!(expanded.contains("enum show"), "{expanded}");
}

#[test]
fn the_doc_comment_is_summary_and_description() {
    let item: ItemFn = syn::parse_quote! {
        /// Lists
        /// orders
        ///
        /// The latest first.
        ///
        /// * one
        fn list() {}
    };
    let (summary, description) = texts(&item.attrs);
    assert_eq!(summary, "Lists orders");
    assert_eq!(description, "The latest first.\n\n* one");
}
