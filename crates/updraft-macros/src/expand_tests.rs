//! The messages of mistakes, each with the words that it points at, and the form of what is
//! made of sound functions.

use super::*;

/// `function` without a mistake of its own.
const FETCH: &str = "async fn fetch(id: u32) -> Result<u32, Refused> { ask(id).await }";

fn expanded(kind: Kind, fields: &str, item: &str) -> String {
    let (fields, item) = (fields.parse().expect("fields"), item.parse().expect("an item"));
    expand(kind, fields, item).to_string()
}

/// What is reported, as `place | message`.
fn findings(kind: Kind, fields: &str, item: &str) -> Vec<String> {
    let item: TokenStream = item.parse().expect("an item");
    let mut function = match function::read(item) {
        Ok(function) => function,
        Err(error) => return told(error),
    };
    let below = take_ours(&mut function);
    guarded(kind, fields.parse().expect("fields"), &below, &mut function)
        .map_or_else(told, |()| Vec::new())
}

fn told(error: syn::Error) -> Vec<String> {
    let one = |error: syn::Error| {
        let place = error.span().source_text().unwrap_or_else(|| "the attribute".to_owned());
        format!("{place} | {error}")
    };
    error.into_iter().map(one).collect()
}

#[track_caller]
fn check(kind: Kind, fields: &str, expected: &[&str]) {
    assert_eq!(findings(kind, fields, FETCH), expected, "{kind:?} {fields}");
}

#[test]
fn sound_fields_are_taken() {
    for (kind, fields) in [
        (Kind::CircuitBreaker, r#"failure_threshold = 5, recovery_timeout = "60s""#),
        (Kind::CircuitBreaker, r#"failure_rate = 1, window = "10s", min_calls = 30000"#),
        (
            Kind::CircuitBreaker,
            r#"failure_rate = 0.5, window = 100, half_open_calls = 3, name = "x","#,
        ),
        (Kind::Retry, ""),
        (
            Kind::Retry,
            r#"attempts = 3, wait = exponential(min = "2s", max = "10s", multiplier = 1)"#,
        ),
        (
            Kind::Retry,
            r#"wait = exponential(min = "0s", max = "1m 30s", multiplier = 0.5, factor = 3)"#,
        ),
        (Kind::Retry, r#"wait = constant("0s"), budget = false, elapsed = "30s""#),
        (Kind::Retry, r#"wait = constant(wait = "1s"), jitter = "decorrelated", budget = true"#),
        (Kind::Retry, r#"wait = linear(first = "1s", step = "1s"), clock = clock()"#),
        (Kind::Retry, r#"wait = fibonacci(unit = "1s", max = "1h")"#),
        (Kind::Bulkhead, r#"max = 32, queue = 64, max_wait = "1s""#),
        (Kind::Timeout, r#""2s""#),
        (Kind::Timeout, r#"attempt = "2s", total = "5s""#),
        (Kind::Timeout, r#"total = "5s""#),
        (Kind::Guard, "policy = self.orders"),
        (Kind::Guard, "policy = ORDERS, once, priority = request.priority()"),
    ] {
        check(kind, fields, &[]);
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let below = r#"
        #[retry(atempts = 3, wait = exponental(min = "2s"))]
        #[timeout("soon")]
        #[bulkhead]
        fn fetch((a, b): (u32, u32)) -> u32 { a + b }"#;
    let expected = [
        r#"0 | must be at least 1"#,
        r#""60" | a span of time is written like "250ms", "2s" or "1m 30s", in quotes"#,
        "atempts | `#[retry]` has no `atempts`; did you mean `attempts`?",
        "exponental | did you mean `exponential`?",
        r#""soon" | a span of time is written like "250ms", "2s" or "1m 30s", in quotes"#,
        "bulkhead | `#[bulkhead]` needs `max = …`",
        "u32 | a guarded function gives a `Result<T, E>` with `E: From<Rejection>` (or an alias \
         that ends in `Result`), so that it can be refused",
        "(a, b) | an argument of a guarded function needs a plain name, so that it can be \
         handed to each attempt: take it apart in the body",
    ];
    let fields = r#"failure_threshold = 0, recovery_timeout = "60""#;
    assert_eq!(findings(Kind::CircuitBreaker, fields, below), expected);
}

#[test]
fn fields_that_are_unknown_or_unclear() {
    let kind = Kind::Retry;
    check(
        kind,
        "tries = 3",
        &["tries | `#[retry]` has no `tries`; it has `attempts`, `wait`, `jitter`, `elapsed`, \
         `budget`, `name`, `clock`"],
    );
    check(kind, "attempts = 3, attempts = 4", &["attempts | `attempts` is given twice"]);
    check(kind, "attempts", &["attempts | `attempts` needs a value: `attempts = …`"]);
    check(
        kind,
        "3",
        &["3 | a value needs its field: `#[retry]` has `attempts`, `wait`, `jitter`, `elapsed`, \
         `budget`, `name`, `clock`"],
    );
    check(Kind::Bulkhead, "queue = = 3", &["= | expected an expression"]);
    check(kind, "a.b = 3", &["a.b | the name of a field is a word"]);
    check(kind, "name = \"\"", &["\"\" | must be a text in quotes, and not empty"]);
    check(Kind::Guard, "policy = p, once = true", &["true | `once` stands alone, without a value"]);
    check(Kind::Guard, "once", &["the attribute | `#[guard]` needs `policy = …`"]);
}

#[test]
fn circuits_that_cannot_be() {
    let kind = Kind::CircuitBreaker;
    check(
        kind,
        "",
        &[
            "the attribute | `#[circuit_breaker]` needs `failure_threshold = …` or `failure_rate = …`",
        ],
    );
    check(
        kind,
        "failure_treshold = -1",
        &["failure_treshold | `#[circuit_breaker]` has no `failure_treshold`; did you mean \
         `failure_threshold`?"],
    );
    check(
        kind,
        "failure_threshold = -1, min_calls = 5",
        &[
            "min_calls | `min_calls` does nothing without `failure_rate`",
            "-1 | must be a whole number, written out",
        ],
    );
    check(
        kind,
        "failure_rate = 1.5, window = 10, min_calls = 11, half_open_calls = 501",
        &[
            "1.5 | must be a number above 0 and at most 1",
            "11 | must be from 1 to 10",
            "501 | must be from 1 to 500",
        ],
    );
    check(
        kind,
        "failure_rate = 0.5, window = 0, recovery_timeout = \"0s\"",
        &["0 | must be from 1 to 65536", "\"0s\" | must be at least 1 ms"],
    );
    check(
        kind,
        "failure_rate = 0.5, window = \"2days\"",
        &["\"2days\" | must be from 100 ms to 24 h"],
    );
    check(
        kind,
        "failure_rate = 0.5, window = always",
        &["always | must be a span of time like \"10s\" or a number of calls like 100"],
    );
}

#[test]
fn waits_that_cannot_be() {
    let kind = Kind::Retry;
    let all = "waits are one of `constant(…)`, `linear(…)`, `exponential(…)` and `fibonacci(…)`";
    check(kind, "attempts = 0", &["0 | must be at least 1"]);
    check(kind, "attempts = 5000000000", &["5000000000 | must be from 1 to 4294967295"]);
    check(kind, "wait = \"1s\"", &[&format!("\"1s\" | {all}")]);
    check(kind, "wait = randomly(3)", &[&format!("randomly | {all}")]);
    check(kind, "wait = constant()", &["constant | `constant(…)` needs `wait = …`"]);
    check(kind, "wait = linear(step = \"1s\")", &["linear | `linear(…)` needs `first = …`"]);
    check(
        kind,
        "wait = fibonacci(unit = \"2s\", max = \"1s\")",
        &["\"1s\" | must be at least `unit`"],
    );
    check(
        kind,
        "wait = exponential(min = \"5s\", max = \"2s\", factor = 0.5, multiplier = 0)",
        &[
            "0.5 | must be a number of at least 1",
            "0 | must be a number of seconds above 0",
            "\"2s\" | must be at least `min`",
        ],
    );
    check(
        kind,
        "wait = exponential(min = \"0s\", max = \"2s\")",
        &["exponential | with a `min` of nothing a `multiplier` must tell the first wait"],
    );
    check(
        kind,
        "jitter = \"ful\", elapsed = \"0s\", budget = 3",
        &[
            "\"ful\" | did you mean \"full\"?",
            "\"0s\" | must be longer than nothing",
            "3 | must be `true` or `false`",
        ],
    );
    check(
        kind,
        "jitter = \"much\"",
        &["\"much\" | must be one of \"none\", \"full\", \"equal\", \"decorrelated\""],
    );
}

#[test]
fn places_and_times_that_cannot_be() {
    check(
        Kind::Bulkhead,
        "max = 0, max_wait = \"1s\"",
        &["max_wait | `max_wait` does nothing without `queue`", "0 | must be from 1 to 2147483647"],
    );
    check(Kind::Timeout, "", &["the attribute | `#[timeout]` needs `attempt = …` or `total = …`"]);
    check(
        Kind::Timeout,
        "2",
        &["2 | a span of time is written like \"250ms\", \"2s\" or \"1m 30s\", in quotes"],
    );
    check(Kind::Timeout, "attempt = \"6s\", total = \"5s\"", &["\"6s\" | must be at most `total`"]);
}

#[test]
fn functions_that_cannot_be_guarded() {
    let kind = Kind::Timeout;
    for (item, expected) in [
        ("struct Fetch;", "struct | only functions and methods can be guarded"),
        (
            "async fn fetch(&self) -> Result<(), E>;",
            "async fn fetch(&self) -> Result<(), E> | there is no body to guard: the attribute \
             belongs to the implementation",
        ),
        (
            "const fn fetch() -> Result<(), E> { Ok(()) }",
            "const | a `const fn` cannot be guarded: it runs while compiling, too",
        ),
        (
            "fn fetch(self: Box<Self>) -> Result<(), E> { Ok(()) }",
            "self: Box<Self> | a guarded method cannot take `self` by value: there would be \
             nothing left for another attempt; take `&self`",
        ),
        (
            "fn fetch(mut self) -> Result<(), E> { Ok(()) }",
            "mut self | a guarded method cannot take `self` by value: there would be nothing \
             left for another attempt; take `&self`",
        ),
        (
            "fn fetch() {}",
            "fetch | a guarded function gives a `Result<T, E>` with `E: From<Rejection>` (or an \
             alias that ends in `Result`), so that it can be refused",
        ),
    ] {
        let found = findings(kind, "\"1s\"", item);
        assert_eq!(found.first().map(String::as_str), Some(expected), "{item}");
    }
    assert!(findings(kind, "\"1s\"", "fn f() -> io::Result<()> { Ok(()) }").is_empty());
    assert!(findings(kind, "\"1s\"", "fn f() -> FetchResult { Ok(()) }").is_empty());
}

#[test]
fn what_cannot_be_lent_twice_is_refused_where_it_would_be() {
    let item = "async fn fetch(&mut self, log: &mut Log) -> Result<(), E> { Ok(()) }";
    let message = "may start several attempts of an async function, and `&mut` can be lent to \
                   one only: take `&`, or something that can be cloned";
    assert_eq!(
        findings(Kind::Retry, "", item),
        [
            format!("&mut self | `#[retry]` {message}"),
            format!("log: &mut Log | `#[retry]` {message}")
        ]
    );
    assert_eq!(findings(Kind::Guard, "policy = p", item).len(), 2);
    assert!(findings(Kind::Guard, "policy = p, once", item).is_empty());
    assert!(findings(Kind::Timeout, "\"1s\"", item).is_empty());
    let blocking = item.replace("async ", "");
    assert!(findings(Kind::Retry, "", &blocking).is_empty());
}

#[test]
fn policies_of_one_name_are_refused() {
    let twice = |first: &str, second: &str| {
        findings(Kind::Timeout, first, &format!("#[timeout({second})] {FETCH}"))
    };
    let expected = "timeout | another attribute of this function makes a policy of the same \
                    name: give each its own `name`";
    assert_eq!(twice("\"2s\"", "\"1s\""), [expected]);
    assert_eq!(twice("\"2s\", name = \"x\"", "\"1s\", name = \"x\""), [expected]);
    assert!(twice("\"2s\"", "\"1s\", name = \"x\"").is_empty());
}

#[test]
fn the_function_stays_beside_its_mistakes() {
    let text =
        expanded(Kind::Retry, "attempts = 0", &format!("#[inline] #[timeout(\"1s\")] {FETCH}"));
    assert!(text.contains("compile_error"), "{text}");
    assert!(text.contains("# [inline] async fn fetch (id : u32)"), "{text}");
    assert!(!text.contains("timeout"), "it would be expanded, and reported again: {text}");
}

#[test]
fn attributes_nest_as_they_are_written() {
    let item =
        format!("#[circuit_breaker(failure_threshold = 5)] #[inline] #[timeout(\"1s\")] {FETCH}");
    let text = expanded(Kind::Retry, "attempts = 3", &item);
    let places: Vec<_> = ["RetryConfig", "BreakerConfig", "attempt_timeout : ", "ask (id)"]
        .iter()
        .map(|part| text.find(part).expect(part))
        .collect();
    assert!(places.is_sorted(), "{places:?} {text}");
    assert!(text.starts_with("# [inline] async fn fetch"), "{text}");
    assert_eq!(expanded(Kind::Retry, TAKEN_IN, "const _: () = ();"), "");
}

#[test]
fn nothing_is_cloned_where_there_is_one_attempt() {
    assert!(expanded(Kind::Retry, "", FETCH).contains("Clone"));
    assert!(expanded(Kind::Guard, "policy = p", FETCH).contains("Clone"));
    for (kind, fields) in [
        (Kind::Guard, "policy = p, once"),
        (Kind::Timeout, "\"1s\""),
        (Kind::Bulkhead, "max = 1"),
        (Kind::CircuitBreaker, "failure_threshold = 1"),
    ] {
        assert!(!expanded(kind, fields, FETCH).contains("Clone"), "{kind:?}");
    }
}
