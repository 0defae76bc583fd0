//! What is made from the table of keys: the JSON Schema and the reference.

use std::path::Path;

use serde_json::Value;
use updraft_system::{json_schema, parse_manifest, reference_markdown};

use crate::good::GOOD;

/// A manifest as an editor sees it that holds it against the schema: days are text.
fn json(text: &str) -> Value {
    plain(toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}")))
}

fn plain(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(day) => Value::String(day.to_string()),
        toml::Value::Array(items) => items.into_iter().map(plain).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, plain(value))).collect())
        }
        other => serde_json::to_value(other).unwrap(),
    }
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
        "[service.a]\nrun = 'a'\nprotocol = 'http2'",
        "[service.a]\nrun = 'a'\noperation = { '/x' = {} }",
        "[service.a]\nrun = 'a'\noperation = { 'get /x' = {} }",
        "[service.a]\nrun = 'a'\noperation = { 'GET /x' = { priority = 'urgent' } }",
        "[service.a]\nrun = 'a'\nneeds = ['a']\ncalls.a.retry = true",
        "[service.a]\nrun = 'a'\nneeds = ['a']\ncalls.a.retry = { on = ['404'] }",
        "[service.a]\nrun = 'a'\nneeds = ['a']\ncalls.a.retry = { budget = '20' }",
        "[service.a]\nrun = 'a'\nneeds = ['a']\ncalls.a.retry = { attempts = 0 }",
        "[service.a]\nrun = 'a'\nneeds = ['a']\ncalls.a.rate = '5'",
        "[service.a]\nrun = 'a'\nneeds = ['a']\ncalls.a.balance = 'random'",
        "[service.a]\nrun = 'a'\nneeds = ['a']\ncalls.a.breaker = { at_most = 50 }",
        "[service.a]\nrun = 'a'\ntraffic.split = { web = -1 }",
        "[service.a]\nrun = 'a'\ntraffic.rules = [{}]",
        "[service.a]\nrun = 'a'\ntraffic.rules = [{ abort = 100 }]",
        "[service.a]\nrun = 'a'\ntraffic.rules = [{ abort = 503, route = 'web' }]",
        "[service.a]\nrun = 'a'\ntraffic.rules = [{ redirect = '/', status = 304 }]",
        "[service.a]\nrun = 'a'\ntraffic.rules = [{ redirect = '//host' }]",
        "[service.a]\nrun = 'a'\ntraffic.mirror = { share = '5%' }",
        "[service.a]\nrun = 'a'\n[mesh]\notlp = 'https://x'",
        "[service.a]\nrun = 'a'\n[mesh]\ningress = 0",
        "[service.a]\nrun = 'a'\n[mesh]\nlimits = { head_bytes = 1 }",
        "[service.a]\nrun = 'a'\n[mesh]\nmtls = 'never'",
        "[service.a.process]\nweb = { run = 'a', scale = 1001 }",
        "[service.a.process]\nweb = { run = 'a', scale = { cpu = '70%' } }",
        "[service.a.process]\nweb = { run = 'a', scale = { max = 2, cpu = '0.7' } }",
        "[service.a.process]\nweb = { run = 'a', stop = '5 s' }",
        "[service.a.process]\nweb = { run = 'a', ready = {} }",
        "[service.a.process]\nweb = { run = 'a', limits = { memory = '256MB' } }",
        "[service.a.process]\nweb = { run = 'a', limits = { memory = 1000 } }",
        "[service.a.process]\nweb = { run = 'a', limits = { cpu = 'half' } }",
        "[service.a.process]\nweb = { run = 'a', limits = { files = 3 } }",
        "[service.a.process]\nweb = { run = 'a', limits = { pids = 0 } }",
        "[service.a.process]\nweb = { run = 'a', writable = ['/data'] }",
        "[service.a.process]\nweb = { run = 'a', capabilities = ['CAP_KILL'] }",
        "[service.a.process]\nweb = { run = 'a', ready = { tcp = true, http = '/' } }",
        "[service.a.task]\nt = { run = 'a', every = '0 3 * *' }\n[service.a.process]\nweb = 'a'",
        "[resource]\na = { kind = 'smtp' }",
        "[resource]\na = { kind = 'sql', version = '1' }",
        "[resource]\na = {}",
        "[check.a.web]\nstartup = '0 s'\n[service.a]\nrun = 'a'",
        "[check.a.web]\nslow = 'get /'\n[service.a]\nrun = 'a'",
        "[check.a.web]\njourney = [{ json = 1 }]\n[service.a]\nrun = 'a'",
        "[check.a.web]\njourney = [{ do = 'GET /', expect = 99 }]\n[service.a]\nrun = 'a'",
        "[check.a.web]\njourney = [{ do = 'GET /', save = { a = 'b' } }]\n[service.a]\nrun = 'a'",
        "[check.a.web]\nwaive = [{ id = 'IX.idle', because = 'x' }]\n[service.a]\nrun = 'a'",
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
