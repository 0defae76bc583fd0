//! The rules one by one, and the law behind them: what is called compatible lets every value
//! of callers pass, which another implementation of JSON Schema judges.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A document with one operation that reads and answers these schemas.
fn document(request: &Value, response: &Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "paths": { "/a/{id}": { "post": {
            "operationId": "a",
            "parameters": [
                { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
                { "name": "q", "in": "query", "required": false, "schema": { "type": "integer" } },
            ],
            "requestBody": { "required": true, "content": { "application/json": { "schema": request } } },
            "responses": {
                "200": { "description": "yes", "content": { "application/json": { "schema": response } } },
                "409": { "description": "no", "content": { "application/problem+json": { "schema": {
                    "type": "object", "properties": { "type": { "const": "x" }, "by": { "type": "string" } },
                    "required": ["type", "by"],
                } } } },
                "default": { "description": "no" },
            },
        } } },
    })
}

fn found(old: &Value, new: &Value) -> Vec<(Class, &'static str)> {
    changes(old, new).into_iter().map(|it| (it.class, it.rule)).collect()
}

fn of_schemas(old: &Value, new: &Value) -> [Vec<(Class, &'static str)>; 2] {
    let any = json!({});
    [
        found(&document(old, &any), &document(new, &any)),
        found(&document(&any, old), &document(&any, new)),
    ]
}

use Class::{Breaking, Compatible, Documentation};

#[test]
fn each_change_of_a_schema_is_judged_by_the_way_its_values_go() {
    let object = |properties: Value, required: Value| json!({ "type": "object", "properties": properties, "required": required });
    let a = || json!({ "type": "string" });
    for (old, new, request, response) in [
        (json!({"type": "integer"}), json!({"type": "number"}), Compatible, Breaking),
        (json!({"type": "number"}), json!({"type": "integer"}), Breaking, Compatible),
        (json!({"type": "string"}), json!({"type": ["string", "null"]}), Compatible, Breaking),
        (json!({"type": "string"}), json!({"type": "integer"}), Breaking, Breaking),
        (json!({"enum": ["a"]}), json!({"enum": ["a", "b"]}), Compatible, Breaking),
        (json!({"enum": ["a", "b"]}), json!({"const": "a"}), Breaking, Compatible),
        (json!({"maxLength": 5}), json!({"maxLength": 9}), Compatible, Breaking),
        (json!({"minimum": 0}), json!({"minimum": 1}), Breaking, Compatible),
        (json!({"maximum": 5}), json!({}), Compatible, Breaking),
        (
            json!({"type": "integer", "format": "uint32", "minimum": 0}),
            json!({"type": "integer", "format": "uint64", "minimum": 0}),
            Compatible,
            Breaking,
        ),
        (json!({"pattern": "a"}), json!({"pattern": "b"}), Breaking, Breaking),
        (object(json!({"a": a()}), json!(["a"])), object(json!({}), json!([])), Breaking, Breaking),
        (
            object(json!({}), json!([])),
            object(json!({"a": a()}), json!(["a"])),
            Breaking,
            Compatible,
        ),
        (
            object(json!({"a": a()}), json!(["a"])),
            object(json!({"a": a()}), json!([])),
            Compatible,
            Breaking,
        ),
        (
            json!({"type": "object", "additionalProperties": false}),
            json!({"type": "object"}),
            Compatible,
            Breaking,
        ),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"type": "array", "items": {"type": ["string", "null"]}}),
            Compatible,
            Breaking,
        ),
        (
            json!({"type": "string"}),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            Compatible,
            Breaking,
        ),
        (
            json!({"oneOf": [{"const": 1}, {"const": 2}]}),
            json!({"oneOf": [{"const": 2}]}),
            Breaking,
            Compatible,
        ),
    ] {
        for (found, expected) in of_schemas(&old, &new).iter().zip([request, response]) {
            let worst = found.iter().map(|(class, _)| *class).min();
            assert_eq!(worst, Some(expected), "{old} -> {new}: {found:?}");
        }
    }
    let described = json!({ "type": "string", "description": "x" });
    for found in of_schemas(&a(), &described) {
        assert_eq!(found, [(Documentation, "text-changed")]);
    }
}

#[test]
fn each_change_of_an_operation_has_its_rule() {
    let any = json!({});
    let old = document(&any, &any);
    let changed = |pointer: &str, value: Value| {
        let mut new = document(&any, &any);
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = new.pointer_mut(&format!("/paths/~1a~1{{id}}{parent}")).unwrap();
        match parent {
            Value::Array(items) => items.push(value),
            parent => {
                let members = parent.as_object_mut().unwrap();
                match value.is_null() {
                    true => drop(members.remove(name)),
                    false => drop(members.insert(name.to_owned(), value)),
                }
            }
        }
        found(&old, &new)
    };
    let parameter = |required: bool| json!({ "name": "new", "in": "query", "required": required, "schema": {} });
    for (pointer, value, expected) in [
        ("/post", Value::Null, (Breaking, "operation-removed")),
        ("/get", json!({ "responses": {} }), (Compatible, "operation-added")),
        ("/post/operationId", json!("b"), (Breaking, "operation-renamed")),
        ("/post/summary", json!("b"), (Documentation, "text-changed")),
        ("/post/deprecated", json!(true), (Documentation, "deprecation-changed")),
        ("/post/parameters/-", parameter(true), (Breaking, "request-required-parameter-added")),
        ("/post/parameters/-", parameter(false), (Compatible, "request-parameter-added")),
        ("/post/parameters/1/required", json!(true), (Breaking, "request-parameter-required")),
        ("/post/parameters/1/name", json!("r"), (Breaking, "request-parameter-removed")),
        ("/post/requestBody", Value::Null, (Breaking, "request-body-removed")),
        ("/post/requestBody/required", json!(false), (Compatible, "request-body-optional")),
        ("/post/responses/200", Value::Null, (Breaking, "response-status-removed")),
        ("/post/responses/202", json!({}), (Breaking, "response-status-added")),
        ("/post/responses/429", json!({}), (Compatible, "response-status-added")),
        ("/post/responses/409", Value::Null, (Compatible, "response-status-removed")),
        ("/post/responses/200/headers", json!({"x": {}}), (Compatible, "response-header-added")),
        ("/post/security", json!([{ "b": ["s"] }]), (Breaking, "access-closed")),
        ("/post/servers", json!([{ "url": "/" }]), (Breaking, "place-changed")),
        ("/post/x-unknown-output", json!(true), (Breaking, "contract-lost")),
    ] {
        let found = changed(pointer, value);
        assert!(found.contains(&expected), "{pointer}: {found:?}");
        let worse = found.iter().any(|(class, _)| *class < expected.0);
        assert!(!worse, "{pointer}: {found:?}");
    }
    // A member of a problem is a promise too; a kind of problem is none.
    let media = "/post/responses/409/content/application~1problem+json/schema";
    let less = changed(&format!("{media}/properties/by"), Value::Null);
    assert!(less.contains(&(Breaking, "response-member-removed")), "{less:?}");
    let other = changed(&format!("{media}/properties/type"), json!({ "const": "y" }));
    let kinds = [(Compatible, "response-problem-removed"), (Compatible, "response-problem-added")];
    assert_eq!(other, kinds);
}

#[test]
fn a_caller_that_may_be_unknown_is_another_than_one_that_must_not() {
    let of = |security: Value| {
        let mut document = document(&json!({}), &json!({}));
        document["paths"]["/a/{id}"]["post"]["security"] = security;
        document
    };
    let (open, closed) = (json!([{ "b": [] }, {}]), json!([{ "b": [] }]));
    let closes = found(&of(open.clone()), &of(closed.clone()));
    assert_eq!(closes, [(Breaking, "access-closed")]);
    assert_eq!(found(&of(closed), &of(open.clone())), [(Compatible, "access-opened")]);
    assert_eq!(found(&of(json!([])), &of(open)), []);
}

#[test]
fn callers_do_not_see_what_a_parameter_of_the_path_is_called() {
    let any = json!({});
    let old = document(&any, &any);
    let text = old.to_string().replace("/a/{id}", "/a/{key}").replace("\"id\"", "\"key\"");
    let new: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found(&old, &new), [(Documentation, "path-parameter-renamed")]);
}

#[test]
fn types_that_hold_themselves_are_compared() {
    let recursive = |more: Value| {
        let mut old = document(&json!({}), &json!({ "$ref": "#/components/schemas/T" }));
        let mut properties = json!({ "next": { "$ref": "#/components/schemas/T" } });
        properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        old["components"] =
            json!({ "schemas": { "T": { "type": "object", "properties": properties } } });
        old
    };
    let (old, new) = (recursive(json!({ "gone": {} })), recursive(json!({})));
    let changes = changes(&old, &new);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].location, "response 200 body /gone");
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop_oneof![Just("string"), Just("integer"), Just("number"), Just("boolean"), Just("null")]
            .prop_map(|kind| json!({ "type": kind })),
        (-2..3_i64, -2..3_i64).prop_map(|(least, most)| {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }),
        (0..3_u8, 0..3_u8).prop_map(|(least, most)| {
            json!({ "type": "string", "minLength": least, "maxLength": most })
        }),
        proptest::sample::subsequence(vec!["a", "b", "c"], 1..=3)
            .prop_map(|words| json!({ "type": "string", "enum": words })),
        Just(json!({ "type": ["string", "null"] })),
        Just(json!({})),
    ];
    leaf.prop_recursive(2, 12, 3, |inner| {
        let open = prop_oneof![Just(None), Just(Some(json!(false))), inner.clone().prop_map(Some)];
        let names = proptest::sample::subsequence(vec!["p", "q"], 0..=2);
        prop_oneof![
            (inner.clone(), inner.clone(), names.clone(), names, open).prop_map(
                |(p, q, there, required, open)| {
                    let mut properties = serde_json::Map::new();
                    for (name, schema) in [("p", p), ("q", q)] {
                        if there.contains(&name) {
                            properties.insert(name.to_owned(), schema);
                        }
                    }
                    let required: Vec<_> =
                        required.into_iter().filter(|it| there.contains(it)).collect();
                    let mut schema = json!({
                        "type": "object", "properties": properties, "required": required,
                    });
                    if let Some(open) = open {
                        schema["additionalProperties"] = open;
                    }
                    schema
                }
            ),
            inner.clone().prop_map(|items| json!({ "type": "array", "items": items })),
            proptest::collection::vec(inner, 1..3).prop_map(|all| json!({ "anyOf": all })),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..4_i64).prop_map(Value::from),
        Just(json!(0.5)),
        proptest::sample::select(vec!["", "a", "b", "c", "ab", "abc"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let name = proptest::sample::select(vec!["p", "q", "r"]).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Nothing that callers send is refused by what is called compatible, and nothing that
    /// they are answered is unknown to them.
    #[test]
    fn what_is_called_compatible_lets_every_value_pass(
        old in schema(),
        new in schema(),
        values in proptest::collection::vec(value(), 24),
    ) {
        let (was, is) = (
            jsonschema::validator_for(&old).unwrap(),
            jsonschema::validator_for(&new).unwrap(),
        );
        let breaks = |found: &[(Class, &str)]| found.iter().any(|it| it.0 == Breaking);
        let [request, response] = of_schemas(&old, &new);
        for value in &values {
            let (before, after) = (was.is_valid(value), is.is_valid(value));
            // A member that was not named until now is one that nobody sent, by convention.
            let named = request.iter().any(|it| it.1 == "request-member-added");
            let passes = breaks(&request) || named || !before || after;
            prop_assert!(passes, "request {value}: {request:?}");
            // A member more is one that callers pass over, unless they were told of none.
            let open = !old.to_string().contains("additionalProperties")
                && !old.to_string().contains("properties");
            prop_assert!(breaks(&response) || !after || before || !open, "response {value}: {response:?}");
        }
    }

    #[test]
    fn a_contract_breaks_no_caller_of_its_own(schema in schema()) {
        for found in of_schemas(&schema, &schema) {
            prop_assert!(found.is_empty(), "{found:?}");
        }
    }
}
