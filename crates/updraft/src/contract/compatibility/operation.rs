//! The rules of operations: parameters, bodies, responses, scopes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::schema::Direction;
use super::{Class, Comparison, Found};
use crate::api::parameters;
use crate::http::mismatch::resolved;

/// The media type of problem documents.
const PROBLEM: &str = "application/problem+json";

static NOTHING: Value = Value::Null;

fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&NOTHING)
}

fn object<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    member(value, name).as_object().into_iter().flat_map(Map::iter)
}

impl<'a> Comparison<'a> {
    pub(super) fn compare_operations(&mut self, old: &Found<'a>, new: &Found<'a>) {
        self.compare_texts(old.value, new.value, "operation");
        if old.has_own_place() != new.has_own_place() {
            let detail = match new.has_own_place() {
                true => "it is at its path alone, no longer below a version",
                false => "it is below a version, no longer at its path alone",
            };
            self.note(Class::Breaking, "place-changed", "operation", detail);
        }
        if member(old.value, "operationId") != member(new.value, "operationId") {
            let detail = "its name has changed, by which generated clients call it";
            self.note(Class::Breaking, "operation-renamed", "operation", detail);
        }
        let deprecated = |it: &Found<'_>| member(it.value, "deprecated") == &Value::Bool(true);
        if deprecated(old) != deprecated(new) {
            let detail = if deprecated(new) { "it is deprecated" } else { "it is good again" };
            self.note(Class::Documentation, "deprecation-changed", "operation", detail);
        }
        self.compare_access(old.value, new.value);
        self.compare_parameters(old, new);
        self.compare_request(member(old.value, "requestBody"), member(new.value, "requestBody"));
        for key in ["x-unknown-input", "x-unknown-output"] {
            match (old.value.get(key), new.value.get(key)) {
                (None, Some(_)) => {
                    let detail = "part of it is no longer in the contract";
                    self.note(Class::Breaking, "contract-lost", "operation", detail);
                }
                (Some(_), None) => {
                    let detail = "all of it is in the contract now";
                    self.note(Class::Compatible, "contract-complete", "operation", detail);
                }
                _ => {}
            }
        }
        self.compare_responses(old.value, new.value);
    }

    fn compare_access(&mut self, old: &Value, new: &Value) {
        match (is_closed(old), is_closed(new)) {
            (false, true) => self.note(
                Class::Breaking,
                "access-closed",
                "access",
                "callers must now say who they are",
            ),
            (true, false) => {
                self.note(Class::Compatible, "access-opened", "access", "everybody may call it");
            }
            _ => {}
        }
        let (before, after) = (scopes(old), scopes(new));
        for scope in after.difference(&before) {
            let detail = format!("callers need the scope {scope}");
            self.note(Class::Breaking, "scope-added", "access", detail);
        }
        for scope in before.difference(&after) {
            let detail = format!("the scope {scope} is no longer needed");
            self.note(Class::Compatible, "scope-removed", "access", detail);
        }
    }

    fn compare_parameters(&mut self, old: &Found<'a>, new: &Found<'a>) {
        // Parameters of a path are known by their place, all others by their name.
        let place = |found: &Found<'a>, parameter: &Value| -> (String, String) {
            let name = member(parameter, "name").as_str().unwrap_or_default();
            let kind = member(parameter, "in").as_str().unwrap_or_default().to_owned();
            let name = match &*kind {
                "path" => parameters(found.path).position(|it| it == name).map(|it| it.to_string()),
                "header" => Some(name.to_ascii_lowercase()),
                _ => None,
            };
            let own = member(parameter, "name").as_str().unwrap_or_default().to_owned();
            (kind, name.unwrap_or(own))
        };
        let all = |found: &Found<'a>| -> Vec<((String, String), &'a Value)> {
            let list = member(found.value, "parameters").as_array();
            list.into_iter().flatten().map(|it| (place(found, it), it)).collect()
        };
        let (before, after) = (all(old), all(new));
        let required = |it: &Value| member(it, "required") == &Value::Bool(true);
        let said = |it: &Value| {
            let text = |key| member(it, key).as_str().unwrap_or_default();
            format!("{} parameter {}", text("in"), text("name"))
        };
        for (key, was) in &before {
            let location = said(was);
            let Some((_, is)) = after.iter().find(|(other, _)| other == key) else {
                let detail = "it is no longer read";
                self.note(Class::Breaking, "request-parameter-removed", location, detail);
                continue;
            };
            match (required(was), required(is)) {
                (false, true) => {
                    let detail = "it is now required";
                    self.note(Class::Breaking, "request-parameter-required", &*location, detail);
                }
                (true, false) => {
                    let detail = "it may be left out now";
                    self.note(Class::Compatible, "request-parameter-optional", &*location, detail);
                }
                _ => {}
            }
            if member(was, "name") != member(is, "name") {
                let detail = "its name has changed, which no request shows";
                self.note(Class::Documentation, "path-parameter-renamed", &*location, detail);
            }
            self.compare_texts(was, is, &location);
            let (was, is) = (member(was, "schema"), member(is, "schema"));
            self.compare_schemas(was, is, Direction::Request, &location);
        }
        for (key, is) in &after {
            if before.iter().any(|(other, _)| other == key) {
                continue;
            }
            let (class, rule) = match required(is) {
                true => (Class::Breaking, "request-required-parameter-added"),
                false => (Class::Compatible, "request-parameter-added"),
            };
            self.note(class, rule, said(is), "it is new");
        }
    }

    fn compare_request(&mut self, old: &'a Value, new: &'a Value) {
        let location = "request body";
        let required = |it: &Value| member(it, "required") == &Value::Bool(true);
        match (old.is_null(), new.is_null()) {
            (true, true) => return,
            (true, false) => {
                let (class, rule) = match required(new) {
                    true => (Class::Breaking, "request-required-body-added"),
                    false => (Class::Compatible, "request-body-added"),
                };
                return self.note(class, rule, location, "a body is read now");
            }
            (false, true) => {
                let detail = "the body is no longer read";
                return self.note(Class::Breaking, "request-body-removed", location, detail);
            }
            (false, false) => {}
        }
        match (required(old), required(new)) {
            (false, true) => {
                let detail = "the body is now required";
                self.note(Class::Breaking, "request-body-required", location, detail);
            }
            (true, false) => {
                let detail = "the body may be left out now";
                self.note(Class::Compatible, "request-body-optional", location, detail);
            }
            _ => {}
        }
        self.compare_texts(old, new, location);
        for (media, was) in object(old, "content") {
            match member(new, "content").get(media) {
                Some(is) => {
                    let (was, is) = (member(was, "schema"), member(is, "schema"));
                    self.compare_schemas(was, is, Direction::Request, location);
                }
                None => {
                    let detail = format!("{media} is no longer read");
                    self.note(Class::Breaking, "request-media-type-removed", location, detail);
                }
            }
        }
        for (media, _) in object(new, "content") {
            if member(old, "content").get(media).is_none() {
                let detail = format!("{media} is read too");
                self.note(Class::Compatible, "request-media-type-added", location, detail);
            }
        }
    }

    fn compare_responses(&mut self, old: &'a Value, new: &'a Value) {
        let answers_all = member(old, "responses").get("default").is_some();
        for (status, was) in object(old, "responses") {
            let location = format!("response {status}");
            let Some(is) = member(new, "responses").get(status) else {
                let class = match succeeds(status) {
                    true => Class::Breaking,
                    false => Class::Compatible,
                };
                self.note(class, "response-status-removed", location, "it is no longer answered");
                continue;
            };
            self.compare_texts(was, is, &location);
            self.compare_headers(was, is, &location);
            self.compare_contents(was, is, &location);
        }
        for (status, _) in object(new, "responses") {
            if member(old, "responses").get(status).is_none() {
                let known = answers_all && !succeeds(status);
                let class = if known { Class::Compatible } else { Class::Breaking };
                let location = format!("response {status}");
                self.note(class, "response-status-added", location, "it is answered too");
            }
        }
    }

    fn compare_headers(&mut self, old: &'a Value, new: &'a Value, location: &str) {
        for (name, was) in object(old, "headers") {
            let location = format!("{location} header {name}");
            let always = |it: &Value| member(it, "required") == &Value::Bool(true);
            match member(new, "headers").get(name) {
                Some(is) => {
                    if always(was) && !always(is) {
                        let detail = "it is not always there now";
                        self.note(Class::Breaking, "response-header-optional", &*location, detail);
                    }
                    let (was, is) = (member(was, "schema"), member(is, "schema"));
                    self.compare_schemas(was, is, Direction::Response, &location);
                }
                None => {
                    let detail = "it is no longer there";
                    self.note(Class::Breaking, "response-header-removed", location, detail);
                }
            }
        }
        for (name, _) in object(new, "headers") {
            if member(old, "headers").get(name).is_none() {
                let location = format!("{location} header {name}");
                self.note(Class::Compatible, "response-header-added", location, "it is new");
            }
        }
    }

    fn compare_contents(&mut self, old: &'a Value, new: &'a Value, location: &str) {
        let location = format!("{location} body");
        for (media, was) in object(old, "content") {
            let Some(is) = member(new, "content").get(media) else {
                let detail = format!("{media} is no longer answered");
                self.note(Class::Breaking, "response-media-type-removed", &*location, detail);
                continue;
            };
            let (was, is) = (member(was, "schema"), member(is, "schema"));
            if media == PROBLEM {
                self.compare_problems(was, is, &location);
            } else {
                self.compare_schemas(was, is, Direction::Response, &location);
            }
        }
        for (media, _) in object(new, "content") {
            if member(old, "content").get(media).is_none() {
                let had_any = object(old, "content").next().is_some();
                let class = if had_any { Class::Breaking } else { Class::Compatible };
                let detail = format!("{media} is answered too");
                self.note(class, "response-media-type-added", &*location, detail);
            }
        }
    }

    /// Kinds of problems may come and go: a caller knows what to do with one that it does not
    /// know, by its status.
    fn compare_problems(&mut self, old: &'a Value, new: &'a Value, location: &str) {
        let (before, after) = (kinds(self.old, old), kinds(self.new, new));
        for (kind, was) in &before {
            match after.iter().find(|(other, _)| other == kind) {
                Some((_, is)) => {
                    let location = format!("{location} ({kind})");
                    self.compare_schemas(was, is, Direction::Response, &location);
                }
                None => {
                    let detail = format!("the problem {kind} is no longer answered");
                    self.note(Class::Compatible, "response-problem-removed", location, detail);
                }
            }
        }
        for (kind, _) in &after {
            if !before.iter().any(|(other, _)| other == kind) {
                let detail = format!("the problem {kind} is answered too");
                self.note(Class::Compatible, "response-problem-added", location, detail);
            }
        }
    }
}

fn succeeds(status: &str) -> bool {
    status.starts_with(['1', '2', '3'])
}

/// The kinds of problems in a schema, each by its `type`, or its title where it has none.
fn kinds<'a>(root: &'a Value, schema: &'a Value) -> Vec<(String, &'a Value)> {
    let schemas = match schema.get("anyOf").or_else(|| schema.get("oneOf")) {
        Some(Value::Array(branches)) => branches.iter().collect(),
        _ => vec![schema],
    };
    let kind = |schema: &'a Value| {
        let members = member(resolved(root, schema), "properties");
        let constant = |name| member(member(members, name), "const").as_str();
        let kind = constant("type").or_else(|| constant("title")).unwrap_or("any");
        (kind.to_owned(), schema)
    };
    schemas.into_iter().map(kind).collect()
}

/// Whether callers must say who they are: an empty alternative lets in whoever does not.
fn is_closed(operation: &Value) -> bool {
    let all = operation.get("security").and_then(Value::as_array);
    all.is_some_and(|all| {
        let open = |one: &Value| one.as_object().is_some_and(Map::is_empty);
        !all.is_empty() && !all.iter().any(open)
    })
}

/// What callers must have been granted.
fn scopes(operation: &Value) -> BTreeSet<String> {
    let all = operation.get("security").and_then(Value::as_array);
    let all = all.into_iter().flatten().filter_map(Value::as_object).flat_map(Map::values);
    let all = all.filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    all.map(str::to_owned).collect()
}
