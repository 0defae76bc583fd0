//! What is found is what another implementation of JSON Schema refuses.

use serde_json::json;

use super::*;

#[test]
fn a_value_has_mismatches_exactly_when_it_is_not_of_its_schema() {
    let schemas = [
        json!({ "type": "string", "minLength": 1, "maxLength": 3 }),
        json!({ "type": ["integer", "null"], "minimum": 0, "maximum": 9 }),
        json!({ "type": "number", "exclusiveMinimum": 0 }),
        json!({ "enum": ["a", 1] }),
        json!({ "type": "array", "items": { "type": "integer" }, "minItems": 1, "maxItems": 2 }),
        json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "type": "integer" }] }),
        json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false }),
        json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
        json!({ "anyOf": [{ "$ref": "#/$defs/T" }, { "type": "null" }], "$defs": { "T": { "type": "object", "required": ["a"] } } }),
        json!({ "oneOf": [{ "const": "a" }, { "const": "b" }] }),
        json!({ "allOf": [{ "required": ["a"] }, { "properties": { "a": { "type": "integer" } } }] }),
        json!(true),
    ];
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(10),
        json!(0.5),
        json!(""),
        json!("a"),
        json!("abcd"),
        json!("ééé"),
        json!([]),
        json!([1]),
        json!([1, 2, 3]),
        json!(["a", 1]),
        json!(["a", "b"]),
        json!({}),
        json!({ "a": "x" }),
        json!({ "a": 1 }),
        json!({ "b": 1 }),
        json!({ "a": "x", "b": 1 }),
    ];
    for schema in &schemas {
        let judge = jsonschema::validator_for(schema).unwrap();
        for value in &values {
            let found = mismatches(schema, value);
            assert_eq!(found.is_empty(), judge.is_valid(value), "{schema} {value}: {found:?}");
        }
    }
}

#[test]
fn a_pointer_escapes_what_a_name_may_hold() {
    let schema = json!({ "properties": { "a/b~c": { "type": "string" } } });
    let found = mismatches(&schema, &json!({ "a/b~c": 1 }));
    assert_eq!(found[0].pointer, "/a~1b~0c");
    let finding = &in_body(&schema, &json!({ "a/b~c": 1 }))[0];
    assert_eq!(finding.pointer.as_deref(), Some("#/a~1b~0c"));
}

#[test]
fn a_schema_that_holds_itself_ends() {
    let schema = json!({ "$ref": "#/$defs/T", "$defs": { "T": { "$ref": "#/$defs/T" } } });
    assert!(mismatches(&schema, &json!(1)).is_empty());
}

#[test]
fn a_body_that_is_wrong_everywhere_keeps_no_thread_busy() {
    let closed = json!({ "type": "object", "additionalProperties": false });
    let many: Map<_, _> = (0..100_000).map(|it| (it.to_string(), json!(0))).collect();
    assert!(mismatches(&closed, &Value::Object(many)).len() <= FINDINGS_MOST + 1);
    let branch = |kind: &str| {
        json!({ "type": "object", "required": ["kind"],
            "properties": { "kind": { "const": kind }, "in": { "$ref": "#" } } })
    };
    let branches = ["a", "b", "c", "d"].map(branch);
    let nested = json!({ "oneOf": branches });
    let deep = (0..40).fold(json!(7), |inner, _| json!({ "kind": "a", "in": inner }));
    // Without a bound these are 4 to the power of 21 alternatives.
    drop(mismatches(&nested, &deep));
}
