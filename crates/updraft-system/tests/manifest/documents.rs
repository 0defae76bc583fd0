//! What is made from the table of keys: the JSON Schema and the reference.

use std::path::Path;

use serde_json::Value;
use updraft_system::{json_schema, parse_manifest, reference_markdown};

use crate::good::GOOD;

fn json(text: &str) -> Value {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn the_schema_is_one() {
    let schema = json_schema();
    if let Err(error) = jsonschema::meta::validate(&schema) {
        panic!("{error}");
    }
    insta::assert_json_snapshot!(schema);
}

#[test]
fn the_schema_accepts_every_good_manifest() {
    let schema = json_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (title, text) in GOOD {
        if let Err(error) = validator.validate(&json(text)) {
            panic!("{title}: {error} at {}", error.instance_path());
        }
    }
}

#[test]
fn the_schema_refuses_what_the_parser_refuses_for_its_form() {
    let schema = json_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for body in [
        "[service.a]\npath = 'a'",
        "[service.a]\nrun = 'a'\nprocess = { web = 'a' }",
        "[service.a]\nrun = ' '",
        "[service.a]\nrun = 'a'\nneed = ['b']",
        "[service.a]\nrun = 'a'\npath = '../b'",
        "[service.a]\nrun = 'a'\npath = '/b'",
        "[service.a]\nrun = 'a'\npath = 'c/../../b'",
        "[service.a]\nrun = 'a'\nroute = 'b'",
        "[service.a]\nrun = 'a'\nbuild = 'make'",
        "[service.a]\nrun = 'a'\nconfig = { low = 'int' }",
        "[service.a]\nrun = 'a'\nconfig = { A = 'integer' }",
        "[service.A]\nrun = 'a'",
        "[service.a.process]\nweb = { run = 'a', scale = 1001 }",
        "[service.a.process]\nweb = { run = 'a', scale = { min = 1, max = 2 } }",
        "[service.a.process]\nweb = { run = 'a', stop = '5 s' }",
        "[service.a.process]\nweb = { run = 'a', ready = {} }",
        "[service.a.process]\nweb = { run = 'a', ready = { tcp = true, http = '/' } }",
        "[service.a.task]\nt = { run = 'a', every = '0 3 * * *' }\n[service.a.process]\nweb = 'a'",
        "[resource]\na = { kind = 'smtp' }",
        "[resource]\na = { kind = 'sql', version = '1' }",
        "[resource]\na = {}",
        "[check.a.web]\nstartup = '3s'\n[service.a]\nrun = 'a'",
    ] {
        let text = format!("system = 'x'\n{body}");
        assert!(parse_manifest(&text).is_err(), "the parser accepts\n{text}");
        assert!(!validator.is_valid(&json(&text)), "the schema accepts\n{text}");
    }
}

#[test]
fn the_reference_in_the_repository_is_what_the_table_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/manifest.md");
    let made = reference_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &made).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == made,
        "{} is not what keys.rs says; run the test with UPDATE_DOCS=1",
        path.display()
    );
}
