//! `A.served`: the contract that a program serves is the one that its service declares.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{Bench, Control, Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::control::site::API as CONTROL_API;
use crate::lab::Address;
use crate::lab::client::Request;
use crate::seen::Seen;
use crate::subject::{Serves, Subject};
use crate::verdict::Verdict;

pub(super) const SERVED: Dynamic = Dynamic {
    id: ProbeId::AServed,
    applies,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::ServesApi], Verdict::Pass)
            .with(|subject| declare(subject, CONTROL_API)),
        Control::new(&[Behaviour::ServesApi], Verdict::Warn)
            .with(|subject| declare(subject, r#"{"openapi":"3.1.0","paths":{}}"#)),
    ],
};

fn declare(subject: &mut Subject, api: &str) {
    let file = PathBuf::from("api.json");
    // Without it the probe cannot tell the controls apart, and says so.
    drop(std::fs::write(subject.folder.join(&file), api));
    subject.api = Some(file);
}

/// Where frameworks serve their contract: the chassis and FastAPI, then others, springdoc last.
const PATHS: &[&str] = &[
    "/openapi.json",
    "/openapi.yaml",
    "/api/openapi.json",
    "/swagger.json",
    "/swagger/v1/swagger.json",
    "/v3/api-docs",
];
const ANSWER: Duration = Duration::from_secs(3);
/// How many differences are told.
const TOLD_MAX: usize = 3;
/// The largest file that is read, in bytes: as much as is kept of an answer.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

fn applies(subject: &Subject) -> Result<(), Seen> {
    match subject.serves {
        Serves::Http => Ok(()),
        Serves::Nothing => Err(Seen::not_applicable("it serves nothing on a port")),
    }
}

async fn look(bench: Bench) -> Seen {
    let declared = match bench.subject.api.as_deref().map(|file| read(&bench, file)).transpose() {
        Ok(declared) => declared,
        Err(why) => return Seen::unknown(why),
    };
    let running = match bench.start().await {
        Ok(running) => running,
        Err(seen) => return seen,
    };
    let served = served(&bench, &running.address()).await;
    let mut seen = match (declared, served) {
        (None, None) => Seen::info(
            "no contract is declared (`api` of the service), and none is served where frameworks \
             have it",
        ),
        (None, Some((path, contract))) => Seen::info(format!(
            "it serves a contract of {} at {path}; none is declared (`api` of the service) that it \
             could be compared with",
            counted(&contract)
        )),
        (Some((file, _)), None) => Seen::info(format!(
            "{file} is declared; nothing is served where frameworks have it ({})",
            PATHS.join(", ")
        )),
        (Some((file, declared)), Some((path, served))) => {
            compared(&file, &declared, path, &served).reproduced_by(again(&bench, &file, path))
        }
    };
    seen.timeline = running.end().await;
    seen
}

/// The declared contract, by its name.
fn read(bench: &Bench, file: &Path) -> Result<(String, Value), String> {
    let (path, name) = (bench.subject.folder.join(file), file.display().to_string());
    let metadata = std::fs::metadata(&path).map_err(|error| format!("{name}: {error}"))?;
    // A pipe would be waited for.
    if !metadata.is_file() {
        return Err(format!("{name} is no file"));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!("{name} has {} bytes, more than are read", metadata.len()));
    }
    let bytes = std::fs::read(&path).map_err(|error| format!("{name}: {error}"))?;
    let contract = contract(&bytes);
    contract.map(|contract| (name.clone(), contract)).ok_or_else(|| {
        format!("{name} is no OpenAPI document: JSON or YAML with `openapi` and `paths`")
    })
}

/// The contract that is served, with its path.
async fn served(bench: &Bench, address: &Address) -> Option<(&'static str, Value)> {
    for path in PATHS {
        let answer = Request::get(path).send(address, bench.limit(ANSWER)).await;
        let body = answer.ok().filter(|answer| answer.status == 200).map(|answer| answer.body);
        if let Some(contract) = body.and_then(|body| contract(&body)) {
            return Some((path, contract));
        }
    }
    None
}

/// An OpenAPI document, or one of its predecessor. Where it is served is said by the server, so
/// `servers` and `host` are no part of what is compared.
fn contract(bytes: &[u8]) -> Option<Value> {
    let read: Option<Value> = serde_json::from_slice(bytes).ok();
    let yaml = || serde_saphyr::from_slice(bytes).ok();
    let Value::Object(mut members) = read.or_else(yaml)? else { return None };
    let is_named = ["openapi", "swagger"].iter().any(|key| members.contains_key(*key));
    if !is_named || !members.get("paths").is_some_and(Value::is_object) {
        return None;
    }
    for place in ["servers", "host", "schemes"] {
        members.remove(place);
    }
    Some(Value::Object(members))
}

fn compared(file: &str, declared: &Value, path: &str, served: &Value) -> Seen {
    let differences = differences(declared, served, file, path);
    if differences.is_empty() {
        return Seen::pass(format!("{path} is what {file} declares: {}", counted(declared)));
    }
    let told = differences.iter().take(TOLD_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = match differences.len().saturating_sub(TOLD_MAX) {
        0 => String::new(),
        count => format!("; and {count} more"),
    };
    Seen::warn(format!("{path} is not what {file} declares: {told}{more}"))
        .listing("differences", differences)
}

/// Its operations: what stands below each method of each path.
fn operations(contract: &Value) -> BTreeMap<String, &Value> {
    const METHODS: [&str; 8] =
        ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let paths = contract["paths"].as_object().into_iter().flatten();
    let of_path = |(path, item): (&String, &'static str)| format!("{} {path}", item.to_uppercase());
    paths
        .flat_map(|(path, item)| {
            let methods =
                METHODS.into_iter().filter_map(|method| Some((method, item.get(method)?)));
            methods.map(move |(method, operation)| (of_path((path, method)), operation))
        })
        .collect()
}

fn counted(contract: &Value) -> String {
    match operations(contract).len() {
        1 => "1 operation".to_owned(),
        count => format!("{count} operations"),
    }
}

/// What differs, by operation; of what is beside the operations, by its place.
fn differences(declared: &Value, served: &Value, file: &str, path: &str) -> Vec<String> {
    let (ours, theirs) = (operations(declared), operations(served));
    let mut found = Vec::new();
    for name in ours.keys().filter(|name| !theirs.contains_key(*name)) {
        found.push(format!("{name} is in {file} only"));
    }
    for name in theirs.keys().filter(|name| !ours.contains_key(*name)) {
        found.push(format!("{name} is in {path} only"));
    }
    for (name, ours) in &ours {
        let place = theirs.get(name).and_then(|theirs| first_difference(ours, theirs));
        found.extend(place.map(|place| format!("{name} differs at {}", shown(&place))));
    }
    let beside = |contract: &Value| {
        let mut contract = contract.clone();
        if let Some(members) = contract.as_object_mut() {
            members.remove("paths");
        }
        contract
    };
    let place = first_difference(&beside(declared), &beside(served));
    found.extend(place.map(|place| format!("they differ at {}", shown(&place))));
    found
}

fn shown(place: &str) -> &str {
    if place.is_empty() { "its root" } else { place }
}

/// The place of the first difference, as a JSON pointer (RFC 6901).
fn first_difference(ours: &Value, theirs: &Value) -> Option<String> {
    let below =
        |key: &str, place: String| format!("/{}{place}", key.replace('~', "~0").replace('/', "~1"));
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let mut keys = ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key)));
            keys.find_map(|key| match (ours.get(key), theirs.get(key)) {
                (Some(ours), Some(theirs)) => {
                    first_difference(ours, theirs).map(|place| below(key, place))
                }
                _ => Some(below(key, String::new())),
            })
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            ours.iter().zip(theirs).enumerate().find_map(|(index, (ours, theirs))| {
                first_difference(ours, theirs).map(|place| below(&index.to_string(), place))
            })
        }
        (Value::Number(ours), Value::Number(theirs)) => {
            (ours.as_f64() != theirs.as_f64()).then(String::new)
        }
        _ => (ours != theirs).then(String::new),
    }
}

fn again(bench: &Bench, file: &str, path: &str) -> String {
    let file = bench.subject.folder.join(file);
    let file = shell_words::quote(&file.to_string_lossy()).into_owned();
    format!(
        "{} sleep 2; curl -s http://127.0.0.1:8080{path} | diff - {file}; kill $!",
        bench.background(8080)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(paths: Value) -> Value {
        contract(json!({ "openapi": "3.1.0", "paths": paths }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_contract_is_json_or_yaml_with_paths_and_where_it_is_served_is_no_part_of_it() {
        let json =
            br#"{"openapi":"3.1.0","paths":{"/a":{"get":{"responses":{"200":{}}}}},"servers":[]}"#;
        let yaml = b"openapi: 3.1.0\npaths:\n  /a:\n    get:\n      responses:\n        200: {}\n";
        assert_eq!(contract(json), contract(yaml));
        assert!(contract(json).is_some());
        for none in
            ["ok\n", "", "[]", "{}", r#"{"openapi":"3.1.0"}"#, r#"{"paths":{}}"#, "a: [", "\0"]
        {
            assert_eq!(contract(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn differences_are_told_by_operation_and_place() {
        let of = |ours: Value, theirs: Value| differences(&with(ours), &with(theirs), "F", "P");
        let get = |status: &str| json!({ "/a/b": { "get": { "responses": { status: {} } } } });
        assert_eq!(of(get("200"), get("200")), [""; 0]);
        assert_eq!(of(get("200"), json!({})), ["GET /a/b is in F only"]);
        assert_eq!(of(json!({}), get("200")), ["GET /a/b is in P only"]);
        assert_eq!(of(get("200"), get("201")), ["GET /a/b differs at /responses/200"]);
        let beside = json!({ "openapi": "3.0.3", "paths": {} });
        assert_eq!(differences(&with(json!({})), &beside, "F", "P"), ["they differ at /openapi"]);
    }

    #[test]
    fn a_place_is_a_pointer_and_equal_numbers_are_equal() {
        let first = |ours: Value, theirs: Value| first_difference(&ours, &theirs);
        assert_eq!(
            first(json!({ "a/b": [1, 2] }), json!({ "a/b": [1, 3] })),
            Some("/a~1b/1".into())
        );
        assert_eq!(first(json!([1]), json!([1, 2])), Some(String::new()));
        assert_eq!(first(json!({ "minimum": 1 }), json!({ "minimum": 1.0 })), None);
    }

    #[test]
    fn more_differences_than_can_be_read_are_counted() {
        let many: serde_json::Map<_, _> =
            (0..5).map(|n| (format!("/{n}"), json!({ "get": {} }))).collect();
        let seen = compared("F", &with(Value::Object(many.clone())), "P", &with(json!({})));
        assert_eq!(seen.verdict, Verdict::Warn);
        assert!(seen.evidence.ends_with("; and 2 more"), "{}", seen.evidence);
        let whole = with(Value::Object(many));
        assert_eq!(compared("F", &whole, "P", &whole).verdict, Verdict::Pass);
    }
}
