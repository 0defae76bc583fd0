//! The messages of mistakes, each with the words that it points at.

use super::*;

/// What is reported, as `place | message`.
fn findings(item: &str) -> Vec<String> {
    let input: DeriveInput = syn::parse_str(item).expect("an item");
    let told = |error: syn::Error| {
        let place = error.span().source_text().unwrap_or_else(|| "the attribute".to_owned());
        format!("{place} | {error}")
    };
    match checked(&input) {
        Ok(_) => Vec::new(),
        Err(error) => error.into_iter().map(told).collect(),
    }
}

#[track_caller]
fn check(fields: &str, expected: &[&str]) {
    assert_eq!(findings(&format!("struct Orders {{ {fields} }}")), expected, "{fields}");
}

#[test]
fn sound_fields_are_taken() {
    for fields in [
        "",
        "/// Days\n#[env(default = 30, range = 1..=365)] days: u16,",
        "/// Days\n#[env(range = 1..)] days: u16, /// Cold\n#[env(default = -5, range = ..=-1)] cold: i8,",
        "/// Span\n#[env(default = \"5s\", range = \"1s\"..=\"5m\", example = \"10s\")] span: Duration,",
        "/// Currency\n#[env(one_of = [\"EUR\", \"USD\"], default = \"EUR\")] currency: String,",
        "/// Key\n#[env(secret)] #[env(name = \"MAIL_KEY2\")] key: Option<String>,",
        "/// Cache\n#[env(shared)] r#type: Cache,",
        "/// A key, and the file of another\nkey: String, /// It\nkeys_file: String,",
    ] {
        check(fields, &[]);
    }
    assert!(findings("struct Nothing;").is_empty());
}

#[test]
fn every_mistake_is_reported_at_once() {
    let item = "struct Orders<T> {
        #[env(defualt = 3, name = \"max-age\")]
        days: u16,
        /// Currency
        #[env(one_of = [], range = 1..5)]
        currency: String,
        /// Groups
        #[env(flatten)]
        smtp: Smtp,
        /// A default that is refused
        #[env(range = 1..=5, default = 9)]
        few: u8,
    }";
    assert_eq!(
        findings(item),
        [
            "T | an App has no generics: one binary reads one set of variables",
            "defualt | `#[env]` has no `defualt`; did you mean `default`?",
            "\"max-age\" | a variable is written in capitals, digits and `_`, such as \"MAX_AGE\"",
            "days | `days` needs a doc comment: it tells people what DAYS is",
            "1..5 | is written like `1..=365`, `1..` or `..=365`; other values than numbers are \
             in quotes, such as `\"1s\"..=\"5m\"`",
            "[] | is written like `[\"EUR\", \"USD\"]`",
            "1..5 | `range` and `one_of` exclude each other",
            "flatten | variables are flat (factor III), so an App has no groups: write each \
             field out",
            "9 | the default is not within `range`",
        ]
    );
}

#[test]
fn options_that_say_nothing_are_refused() {
    check(
        "/// Days\n#[env(default = 3)] days: Option<u16>,",
        &["3 | with a default it is never missing: take the `Option` away"],
    );
    check("/// Days\n#[env(range = 1..)] days: Vec<u16>,", &["1.. | a list has no `range`"]);
    check("/// Days\n#[env(range = 5..=1)] days: u16,", &["5..=1 | holds no value"]);
    check(
        "/// Days\n#[env(default = days())] days: u16,",
        &["days() | must be a text in quotes, a number, or `true` or `false`"],
    );
    check(
        "/// Currency\n#[env(one_of = [\"EUR\"], example = \"DM\")] currency: String,",
        &["\"DM\" | the example is none of `one_of`"],
    );
    check(
        "/// Days\n#[env] days: u16,",
        &["env | expected attribute arguments in parentheses: `env(...)`"],
    );
    check(
        "/// Days\n#[env(shared = true)] days: u16,",
        &["true | `shared` stands alone, without a value"],
    );
}

#[test]
fn fields_of_one_variable_are_refused() {
    check(
        "/// One\ndays: u16, /// Two\n#[env(name = \"DAYS\")] period: u16, /// Three\nr#days: u8,",
        &[
            "period | `days` is read from DAYS already: give one of the two another `name`",
            "r#days | `days` is read from DAYS already: give one of the two another `name`",
            "r#days | `period` is read from DAYS already: give one of the two another `name`",
        ],
    );
}

#[test]
fn what_the_types_decide_is_asserted_while_compiling() {
    let assertions = |fields: &str| {
        let input = syn::parse_str(&format!("struct Orders {{ {fields} }}")).expect("a struct");
        let fields = checked(&input).expect("it is sound");
        conflict::assertions(&fields).to_string()
    };
    let text = assertions("/// The database\ndb: Sql, /// Its URL\ndb_url: String,");
    assert_eq!(text.matches("assert !").count(), 2, "{text}");
    assert!(text.contains("are both read from DB_URL"), "{text}");
    let text = assertions("/// A key\nkey: Secret, /// Its file\nkey_file: PathBuf,");
    assert!(text.contains("_FILE behind it"), "{text}");
    assert_eq!(assertions("/// One\none: u8, /// Two\ntwo: u8,"), "");
}

#[test]
fn only_structs_with_named_fields_are_apps() {
    assert_eq!(findings("enum Orders {}"), ["Orders | an App is a struct"]);
    assert_eq!(findings("struct Orders(u8);"), ["Orders | an App is a struct with named fields"]);
}

#[test]
fn the_first_paragraph_of_the_doc_comment_is_what_people_read() {
    let input: DeriveInput = syn::parse_str(
        "struct Orders { /// Days until\n/// it is late\n///\n/// More\ndays: u16, /** Block\n text */ x: u8 }",
    )
    .expect("a struct");
    let fields = checked(&input).expect("it is sound");
    let about: Vec<_> = fields.iter().map(|field| field.about.as_str()).collect();
    assert_eq!(about, ["Days until it is late", "Block text"]);
}

#[test]
fn a_plain_text_with_the_name_of_a_secret_is_one() {
    let secret = |field: &str| {
        let input = syn::parse_str(&format!("struct Orders {{ /// It\n{field} }}"));
        let fields = checked(&input.expect("a struct")).expect("it is sound");
        fields.iter().any(|field| field.options.secret)
    };
    for field in [
        "mail_token: String",
        "db_password: Option<String>",
        "api_key: std::string::String",
        "#[env(name = \"MAIL_SECRET\")] mail: Vec<String>",
        "#[env(secret)] seed: u64",
    ] {
        assert!(secret(field), "{field}");
    }
    for field in ["tokens: String", "sort_key: String", "max_token: u32", "name: String"] {
        assert!(!secret(field), "{field}");
    }
}
