//! Each operation of the contract is called with inputs that are made of its schemas, right
//! ones and wrong ones. What the schema allows must be read, what it does not must be refused,
//! and each answer must be documented and be what its schema says.

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::service::{Answer, Service, contract};

const ROUNDS: usize = 40;

/// Dice that fall alike in every run.
struct Dice(u64);

impl Dice {
    /// A number below `most` (splitmix64).
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let index = self.below(all.len() as u64);
        &all[usize::try_from(index).unwrap()]
    }

    fn heads(&mut self) -> bool {
        self.below(2) == 0
    }
}

struct Contract {
    document: Value,
}

impl Contract {
    fn validator(&self, schema: &Value) -> Validator {
        let mut root = schema.as_object().unwrap().clone();
        root.insert("components".to_owned(), self.document["components"].clone());
        jsonschema::validator_for(&Value::Object(root)).unwrap()
    }

    fn resolved<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        while let Some(target) = schema.get("$ref") {
            let target = target.as_str().unwrap();
            schema = self.document.pointer(&target[1..]).unwrap_or_else(|| panic!("no {target}"));
        }
        schema
    }

    /// A value that the schema allows.
    fn right(&self, schema: &Value, dice: &mut Dice, depth: u32) -> Value {
        let schema = self.resolved(schema);
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(key) {
                let branch = dice.one_of(branches.as_array().unwrap());
                let mut value = self.right(branch, dice, depth + 1);
                if let (Some(own), true) = (schema.get("properties"), value.is_object()) {
                    let own = self.right(
                        &json!({ "type": "object", "properties": own,
                        "required": schema["required"] }),
                        dice,
                        depth + 1,
                    );
                    value.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
                }
                return value;
            }
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(choices) = schema.get("enum") {
            return dice.one_of(choices.as_array().unwrap()).clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => dice.one_of(kinds).as_str().unwrap(),
            kind => kind.as_str().unwrap_or_else(|| panic!("no type: {schema}")),
        };
        match kind {
            "null" => Value::Null,
            "boolean" => dice.heads().into(),
            "integer" => {
                let least = schema["minimum"].as_i64().unwrap_or(0).max(-5);
                let most = schema["maximum"].as_i64().unwrap_or(100);
                let span = u64::try_from(most - least + 1).unwrap();
                (least + i64::try_from(dice.below(span)).unwrap()).into()
            }
            "string" => {
                let least = schema["minLength"].as_u64().unwrap_or(0);
                let most = schema["maxLength"].as_u64().unwrap_or(12);
                let count = least + dice.below(most - least + 1);
                let letter = |_| *dice.one_of(&['a', 'é', '"', ' ', '/', '猫', 'Z']);
                (0..count).map(letter).collect::<String>().into()
            }
            "array" => {
                let count = dice.below(schema["maxItems"].as_u64().unwrap_or(3) + 1);
                (0..count).map(|_| self.right(&schema["items"], dice, depth + 1)).collect()
            }
            _ => {
                let required: Vec<Value> =
                    schema["required"].as_array().cloned().unwrap_or_default();
                let mut members = Map::new();
                for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                    let needed = required.iter().any(|it| it == name);
                    if needed || (depth < 6 && dice.heads()) {
                        members.insert(name.clone(), self.right(schema, dice, depth + 1));
                    }
                }
                Value::Object(members)
            }
        }
    }
}

/// Something near a value that may not be allowed.
fn bent(value: &Value, dice: &mut Dice) -> Value {
    match value {
        Value::Object(members) if !members.is_empty() && dice.below(4) > 0 => {
            let mut members = members.clone();
            let name =
                members.keys().nth(usize::try_from(dice.below(members.len() as u64)).unwrap());
            let name = name.unwrap().clone();
            match dice.below(3) {
                0 => drop(members.remove(&name)),
                1 => drop(members.insert(format!("{name}x"), Value::Null)),
                _ => {
                    let other = bent(&members[&name], dice);
                    members.insert(name, other);
                }
            }
            Value::Object(members)
        }
        Value::Array(items) if !items.is_empty() && dice.heads() => {
            items.iter().map(|item| bent(item, dice)).collect()
        }
        Value::String(text) if dice.heads() => text.repeat(40).into(),
        Value::Number(_) if dice.heads() => (-1_000_000).into(),
        _ => dice
            .one_of(&[Value::Null, true.into(), "?".into(), (-1).into(), json!([]), json!({})])
            .clone(),
    }
}

/// A request that was made, and whether the contract allows it.
struct Asked {
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    allowed: bool,
}

fn text_of(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let sound = |byte: u8| byte.is_ascii_alphanumeric();
    let one = |byte: u8| match sound(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// A value of a parameter, right or wrong, as texts.
fn parameter(contract: &Contract, schema: &Value, dice: &mut Dice, wrong: bool) -> Vec<String> {
    if wrong {
        return vec!["%21wrong%21".to_owned()];
    }
    match contract.right(schema, dice, 0) {
        Value::Array(items) => items.iter().map(text_of).collect(),
        value => vec![text_of(&value)],
    }
}

/// Whether the text that stands for what is wrong would be right for this schema.
fn takes_any_text(contract: &Contract, schema: &Value) -> bool {
    let schema = contract.resolved(schema);
    schema["type"] == "string" && schema.get("enum").is_none()
}

fn asked(contract: &Contract, path: &str, operation: &Value, dice: &mut Dice) -> Asked {
    let mut asked =
        Asked { target: path.to_owned(), headers: vec![], body: String::new(), allowed: true };
    let mut query = Vec::new();
    for spec in operation["parameters"].as_array().into_iter().flatten() {
        let (name, schema) = (spec["name"].as_str().unwrap(), &spec["schema"]);
        if spec["required"] == false && dice.heads() {
            continue;
        }
        let wrong = dice.below(6) == 0 && !takes_any_text(contract, schema);
        asked.allowed &= !wrong;
        for text in parameter(contract, schema, dice, wrong) {
            match spec["in"].as_str().unwrap() {
                "path" => asked.target = asked.target.replace(&format!("{{{name}}}"), &text),
                "query" => query.push(format!("{name}={text}")),
                _ => asked.headers.push((name.to_owned(), text)),
            }
        }
    }
    if !query.is_empty() {
        asked.target += &format!("?{}", query.join("&"));
    }
    for (media, spec) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        asked.headers.push(("Content-Type".to_owned(), media.clone()));
        let Some(schema) = spec.get("schema") else {
            asked.body = "plain".to_owned();
            continue;
        };
        let mut body = contract.right(schema, dice, 0);
        if dice.heads() {
            body = bent(&body, dice);
        }
        asked.allowed &= contract.validator(schema).is_valid(&body);
        asked.body = body.to_string();
    }
    asked
}

/// The answer must be one of those of the operation.
fn check(contract: &Contract, operation: &Value, answer: &Answer, what: &str) {
    let responses = &operation["responses"];
    let own = responses.get(answer.status.to_string());
    if operation.get("x-unknown-output").is_some() && answer.status < 400 {
        return;
    }
    assert!(own.is_some() || answer.status >= 400, "{what}: not in the contract: {answer:?}");
    let response = own.unwrap_or(&responses["default"]);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let there = answer.header(name).is_some();
        assert!(there || header["required"] != true, "{what}: no {name}: {answer:?}");
    }
    let Some(content) = response.get("content").and_then(Value::as_object) else {
        return assert_eq!(answer.body, "", "{what}");
    };
    let media = answer.header("content-type").unwrap_or_default().split(';').next().unwrap();
    let spec = content.get(media).unwrap_or_else(|| panic!("{what}: {media} in {answer:?}"));
    if let Some(schema) = spec.get("schema") {
        let body = answer.json();
        let errors: Vec<_> =
            contract.validator(schema).iter_errors(&body).map(|it| it.to_string()).collect();
        assert_eq!(errors, [""; 0], "{what}: {body}");
    }
}

#[test]
fn every_operation_does_what_its_contract_says_for_right_and_wrong_inputs() {
    let service = Service::start();
    let mut dice = Dice(7);
    for version in ["1", "2"] {
        let contract = Contract { document: contract(version) };
        let paths = contract.document["paths"].as_object().unwrap();
        assert!(paths.len() > 5);
        for (path, item) in paths {
            for (method, operation) in item.as_object().unwrap() {
                let server = operation["servers"][0]["url"].as_str();
                let place = if server.is_some() { "" } else { &*format!("/v{version}") };
                let (mut right, mut wrong) = (0, 0);
                for _ in 0..ROUNDS {
                    let asked = asked(&contract, path, operation, &mut dice);
                    let target = format!("{place}{}", asked.target);
                    let headers: Vec<_> =
                        asked.headers.iter().map(|(name, it)| (&**name, &**it)).collect();
                    let method = method.to_uppercase();
                    let answer = service.ask(&method, &target, &headers, &asked.body);
                    let what = format!("{method} {target} {}", asked.body);
                    check(&contract, operation, &answer, &what);
                    let refused = answer.json_if_problem("errors");
                    if operation.get("security").is_some() {
                        assert_eq!(answer.status, 401, "{what}: {answer:?}");
                    } else {
                        assert_eq!(asked.allowed, !refused, "{what}: {answer:?}");
                    }
                    right += u32::from(asked.allowed);
                    wrong += u32::from(!asked.allowed);
                }
                let all_right = operation["parameters"].is_null()
                    && operation["requestBody"]["content"]["application/json"].is_null();
                assert!(right > 0 && (wrong > 0 || all_right), "{method} {path}: {right} {wrong}");
            }
        }
    }
}

#[test]
fn the_document_is_openapi_of_schemas_that_are_sound() {
    for version in ["1", "2"] {
        let contract = Contract { document: contract(version) };
        assert_eq!(contract.document["openapi"], "3.1.0");
        assert_eq!(contract.document["servers"][0]["url"], format!("/v{version}"));
        let schemas = contract.document["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas {
            assert!(jsonschema::meta::is_valid(schema), "{name}");
            contract.validator(schema);
        }
        // Each reference leads somewhere.
        let mut open = vec![&contract.document];
        while let Some(value) = open.pop() {
            if value.get("$ref").is_some() {
                contract.resolved(value);
            }
            match value {
                Value::Object(members) => open.extend(members.values()),
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        // Each problem's example is one.
        for item in contract.document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                for response in operation["responses"].as_object().unwrap().values() {
                    let media = &response["content"]["application/problem+json"];
                    for example in media["examples"].as_object().into_iter().flatten() {
                        // Members that change have no example of their own.
                        assert!(example.1["value"]["status"].is_u64(), "{example:?}");
                    }
                }
            }
        }
    }
}

impl Answer {
    /// Whether it is a problem that has this member.
    fn json_if_problem(&self, member: &str) -> bool {
        self.header("content-type") == Some("application/problem+json")
            && self.json().get(member).is_some()
    }
}
