//! What one operation reads and answers, as its types say it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::document::SCHEME;
use super::schemas::{Schemas, Way};
use crate::IdempotencyKey;
use crate::http::mismatch::resolved;
use crate::http::parameters::Place;
use crate::http::text::header_name;
use crate::idempotency::HEADER;
use crate::problem::ProblemKind;

/// The part of the contract that says what one operation reads and answers. An
/// [`Input`](crate::Input) and an [`Output`](crate::Output) write themselves into it.
#[derive(Debug)]
pub struct Shape<'a> {
    schemas: &'a mut Schemas,
    /// The names in the template of the path.
    template: Vec<&'static str>,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: BTreeMap<u16, Response>,
    unknown_input: bool,
    unknown_output: bool,
    /// It knows its caller: always, or where there is a token.
    caller: Option<bool>,
    /// Its requests have keys.
    idempotent: bool,
    /// What the template and the types do not agree about.
    faults: Vec<String>,
}

#[derive(Debug, Default)]
struct Response {
    about: String,
    headers: Map<String, Value>,
    content: Map<String, Value>,
    problems: Vec<Told>,
}

/// A kind of problem with a reference to its schema.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    kind: ProblemKind,
    schema: Value,
    example: Value,
}

/// Further members of a problem's document.
#[derive(Debug)]
pub struct Members<'a, 'b> {
    shape: &'a mut Shape<'b>,
    kind: ProblemKind,
    members: Map<String, Value>,
    required: Vec<Value>,
}

impl<'a> Shape<'a> {
    pub(crate) fn new(schemas: &'a mut Schemas, template: Vec<&'static str>) -> Self {
        Self {
            schemas,
            template,
            parameters: Vec::new(),
            body: None,
            responses: BTreeMap::new(),
            unknown_input: false,
            unknown_output: false,
            caller: None,
            idempotent: false,
            faults: Vec::new(),
        }
    }

    /// Reads a body of JSON.
    pub fn json_body<T: JsonSchema>(&mut self) {
        let schema = self.schemas.of::<T>(Way::Read);
        self.body = Some(json!({
            "required": true,
            "content": { "application/json": { "schema": schema } },
        }));
        for kind in [&ProblemKind::MEDIA_TYPE, &ProblemKind::TOO_LARGE] {
            self.problem(kind);
        }
        self.refuses_malformed();
        self.refuses_invalid();
    }

    /// Reads a body of this media type, of which nothing more is known.
    pub fn raw_body(&mut self, media: &str) {
        let mut content = Map::new();
        content.insert(media.to_owned(), json!({}));
        self.body = Some(json!({ "required": true, "content": content }));
        self.problem(&ProblemKind::TOO_LARGE);
    }

    /// Reads what the contract cannot tell.
    pub fn unknown_input(&mut self) {
        self.unknown_input = true;
    }

    /// Answers what the contract cannot tell.
    pub fn unknown_output(&mut self) {
        if self.idempotent {
            let fault = "it is `idempotent`, and answers `Raw`: a stream of events or a WebSocket \
                cannot be kept and given again; answer a type that the contract knows";
            self.faults.push(fault.to_owned());
        }
        self.unknown_output = true;
    }

    /// Answers nobody who has not proven who he is, or (`false`) also who says nothing.
    pub fn caller(&mut self, required: bool) {
        self.caller = Some(required || self.caller == Some(true));
        self.problem(&ProblemKind::UNAUTHORIZED);
    }

    /// Reads a key by which a request that is sent twice has one effect.
    pub(super) fn idempotency_key(&mut self, wanted: IdempotencyKey) {
        let schema = json!({
            "type": "string",
            "description": "The same for every try of one request, such as a UUID in double \
                quotes: the same request has one effect, and again the same answer",
            "minLength": 1,
            "maxLength": 512,
        });
        let required = wanted == IdempotencyKey::Required;
        self.idempotent = true;
        self.parameters.push(parameter(HEADER.as_str(), Place::Header, required, schema));
        self.refuses_malformed();
        self.refuses_invalid();
        self.problem(&ProblemKind::IN_PROGRESS);
        self.problem(&ProblemKind::TOO_LARGE);
    }

    /// Reads the key itself, which is there only where the declaration says so.
    pub(crate) fn reads_idempotency(&mut self) {
        if !self.idempotent {
            let fault =
                "it takes `Idempotency`, and is not `idempotent`: write that behind its path";
            self.faults.push(fault.to_owned());
        }
    }

    /// Whether it knows its caller.
    pub(super) fn has_caller(&self) -> bool {
        self.caller.is_some()
    }

    pub(crate) fn parameters<T: JsonSchema>(&mut self, place: Place) {
        let schema = self.schemas.inline::<T>(Way::Read);
        self.refuses_malformed();
        if place == Place::Path {
            return self.path_parameters(schema);
        }
        let required = required(&schema);
        for (name, mut schema) in properties(schema) {
            let needed = required.contains(&name);
            let name = if place == Place::Header { header_name(&name) } else { name };
            if self.idempotent && place == Place::Header && name == HEADER.as_str() {
                let fault = "`Headers` reads `idempotency-key`, which `idempotent` reads: take `Idempotency`";
                self.faults.push(fault.to_owned());
                continue;
            }
            strip_null(&mut schema);
            self.parameters.push(parameter(&name, place, needed, schema));
        }
    }

    /// The parameters of the path by the names of its template.
    fn path_parameters(&mut self, schema: Value) {
        let template = self.template.clone();
        let named = schema.get("properties").is_some();
        let positions = schema.get("prefixItems").and_then(Value::as_array).cloned();
        let schemas: Vec<(String, Value)> = if named {
            properties(schema)
        } else {
            let all = positions.unwrap_or_else(|| vec![schema]);
            if all.len() != template.len() {
                let (types, names) = (all.len(), template.len());
                let fault = format!("`Path` reads {types} parameters, and the path has {names}");
                self.faults.push(fault);
            }
            template.iter().map(|name| (*name).to_owned()).zip(all).collect()
        };
        for (name, schema) in schemas {
            if template.contains(&&*name) {
                self.parameters.push(parameter(&name, Place::Path, true, schema));
            } else if !is_optional(&schema) {
                self.faults.push(format!("`Path` reads `{name}`, which is not in the path"));
            }
        }
    }

    /// A parameter or body that cannot be read is a 400 that says which.
    pub fn refuses_malformed(&mut self) {
        self.refuses(&ProblemKind::MALFORMED);
    }

    /// A value that breaks a rule is a 422 that says which.
    pub fn refuses_invalid(&mut self) {
        self.refuses(&ProblemKind::INVALID);
    }

    fn refuses(&mut self, kind: &'static ProblemKind) {
        let finding = json!({
            "type": "object",
            "description": "One thing that is wrong with a request",
            "properties": {
                "detail": { "type": "string", "description": "What is wrong, and what would be right" },
                "pointer": { "type": "string", "description": "Where in the body: a JSON pointer (RFC 6901) as a fragment of a URI" },
                "parameter": { "type": "string", "description": "Which parameter, when it is not in the body" },
                "in": { "type": "string", "enum": ["path", "query", "header"], "description": "Where the parameter is" },
            },
            "required": ["detail"],
        });
        let finding = self.schemas.add("Finding", finding);
        let mut members = Map::new();
        let about = "Everything that is wrong with the request, of which 64 are listed";
        let schema = json!({ "type": "array", "items": finding, "description": about });
        members.insert("errors".to_owned(), schema);
        Members { shape: self, kind: *kind, members, required: Vec::new() }.told();
    }

    /// Answers JSON.
    pub fn json_response<T: JsonSchema>(&mut self, status: u16, about: &str) {
        let schema = self.schemas.of::<T>(Way::Written);
        let response = self.response(status, about);
        response.content.insert("application/json".to_owned(), json!({ "schema": schema }));
    }

    /// Answers something of this media type, of which nothing more is known.
    pub fn media_response(&mut self, status: u16, media: &str, about: &str) {
        let essence = media.split(';').next().unwrap_or(media).to_owned();
        self.response(status, about).content.insert(essence, json!({}));
    }

    /// Answers without a body.
    pub fn empty_response(&mut self, status: u16, about: &str) {
        self.response(status, about);
    }

    /// A response has this header.
    pub fn header(&mut self, status: u16, name: &str, about: &str) {
        let header =
            json!({ "description": about, "required": true, "schema": { "type": "string" } });
        self.response(status, about).headers.insert(name.to_owned(), header);
    }

    /// Can answer a problem of this kind, without members of its own.
    pub fn problem(&mut self, kind: &ProblemKind) {
        self.members(kind).told();
    }

    /// Can answer a problem of this kind, with members that are named next.
    pub fn members(&mut self, kind: &ProblemKind) -> Members<'_, 'a> {
        Members { shape: self, kind: *kind, members: Map::new(), required: Vec::new() }
    }

    fn response(&mut self, status: u16, about: &str) -> &mut Response {
        let response = self.responses.entry(status).or_default();
        if response.about.is_empty() {
            about.clone_into(&mut response.about);
        }
        response
    }

    /// The parts of the operation in the document.
    pub(crate) fn finish(self, operation: &mut Map<String, Value>) -> Vec<String> {
        let Self { schemas, parameters, body, responses, unknown_input, unknown_output, .. } = self;
        let mut faults = self.faults;
        for name in &self.template {
            let read = |it: &Value| it["in"] == "path" && it["name"] == *name;
            if !parameters.iter().any(read) && !unknown_input {
                faults.push(format!("nothing reads the parameter `{name}` of the path"));
            }
        }
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), Value::Array(parameters));
        }
        if let Some(required) = self.caller
            && !operation.contains_key("security")
        {
            let bearer = json!({ SCHEME: [] });
            let security = if required { json!([bearer]) } else { json!([bearer, {}]) };
            operation.insert("security".to_owned(), security);
        }
        if let Some(body) = body {
            operation.insert("requestBody".to_owned(), body);
        }
        if unknown_input {
            operation.insert("x-unknown-input".to_owned(), Value::Bool(true));
        }
        if unknown_output {
            operation.insert("x-unknown-output".to_owned(), Value::Bool(true));
        }
        let mut all = Map::new();
        for (status, response) in responses {
            all.insert(status.to_string(), response.document());
        }
        let any = schemas.add("Problem", any_problem());
        let about = if unknown_output { "Any other answer" } else { "Any other failure" };
        let other = json!({
            "description": about,
            "content": { "application/problem+json": { "schema": any } },
        });
        all.insert("default".to_owned(), other);
        operation.insert("responses".to_owned(), Value::Object(all));
        faults
    }
}

impl Members<'_, '_> {
    /// One more member.
    #[must_use]
    pub fn member<T: JsonSchema>(mut self, name: &str) -> Self {
        let schema = self.shape.schemas.of::<T>(Way::Written);
        if !is_optional(&schema) {
            self.required.push(name.into());
        }
        self.members.insert(name.to_owned(), schema);
        self
    }

    /// All members are named.
    pub fn told(self) {
        let Self { shape, kind, mut members, mut required } = self;
        let constant = |value: Value| json!({ "const": value });
        if let Some(uri) = kind.uri {
            members.insert("type".to_owned(), constant(uri.into()));
            required.push("type".into());
        }
        members.insert("title".to_owned(), constant(kind.title.into()));
        members.insert("status".to_owned(), constant(kind.status.into()));
        let detail = json!({ "type": "string", "description": "What is wrong with this request" });
        members.insert("detail".to_owned(), detail);
        required.extend(["title".into(), "status".into()]);
        let schema = json!({ "type": "object", "properties": members, "required": required });
        let schema = shape.schemas.add(&name_of(&kind), schema);
        let told = Told { kind, schema, example: example(&kind) };
        let response = shape.response(kind.status, kind.title);
        if kind.retry_after {
            let header = json!({
                "description": "After how many seconds to try again",
                "schema": { "type": "integer", "minimum": 0 },
            });
            response.headers.insert("retry-after".to_owned(), header);
        }
        if !response.problems.contains(&told) {
            response.problems.push(told);
        }
    }
}

impl Response {
    fn document(self) -> Value {
        let Self { about, headers, mut content, problems } = self;
        let titles: Vec<_> = problems.iter().map(|it| it.kind.title).collect();
        let about = if titles.len() > 1 { titles.join(", or: ") } else { about };
        let mut schemas: Vec<_> = problems.iter().map(|it| it.schema.clone()).collect();
        let examples: Map<_, _> = problems
            .into_iter()
            .map(|it| (name_of(&it.kind), json!({ "value": it.example })))
            .collect();
        let schema = match schemas.len() {
            0 => None,
            1 => schemas.pop(),
            // Two kinds of one status and title could both hold, so not `oneOf`.
            _ => Some(json!({ "anyOf": schemas })),
        };
        if let Some(schema) = schema {
            let media = json!({ "schema": schema, "examples": examples });
            content.insert("application/problem+json".to_owned(), media);
        }
        let mut document = Map::new();
        document.insert("description".to_owned(), about.into());
        if !headers.is_empty() {
            document.insert("headers".to_owned(), Value::Object(headers));
        }
        if !content.is_empty() {
            document.insert("content".to_owned(), Value::Object(content));
        }
        Value::Object(document)
    }
}

/// The name of the schema of a kind: the last part of its URI, or its title.
fn name_of(kind: &ProblemKind) -> String {
    let text = kind.uri.and_then(|uri| uri.rsplit(['/', '#', ':']).next()).unwrap_or(kind.title);
    let mut name = String::new();
    for word in text.split(|it: char| !it.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut characters = word.chars();
        name.extend(characters.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(characters.as_str());
    }
    let name = name.strip_prefix("Problem").filter(|rest| !rest.is_empty()).unwrap_or(&name);
    format!("{name}Problem")
}

fn example(kind: &ProblemKind) -> Value {
    let mut example = Map::new();
    if let Some(uri) = kind.uri {
        example.insert("type".to_owned(), uri.into());
    }
    example.insert("title".to_owned(), kind.title.into());
    example.insert("status".to_owned(), kind.status.into());
    if let Some(detail) = kind.detail {
        example.insert("detail".to_owned(), detail.into());
    }
    Value::Object(example)
}

/// What every problem document has (RFC 9457).
fn any_problem() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457)",
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "The kind of the problem; about:blank when it is not there" },
            "title": { "type": "string", "description": "What problems of this kind are called" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "The status of the answer" },
            "detail": { "type": "string", "description": "What is wrong with this request" },
        },
        "required": ["title", "status"],
    })
}

fn properties(schema: Value) -> Vec<(String, Value)> {
    let Value::Object(mut members) = schema else { return Vec::new() };
    match members.remove("properties") {
        Some(Value::Object(properties)) => properties.into_iter().collect(),
        _ => Vec::new(),
    }
}

fn required(schema: &Value) -> Vec<String> {
    let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn parameter(name: &str, place: Place, required: bool, mut schema: Value) -> Value {
    let about = schema.as_object_mut().and_then(|members| members.remove("description"));
    let mut parameter = Map::new();
    parameter.insert("name".to_owned(), name.into());
    parameter.insert("in".to_owned(), place.name().into());
    parameter.insert("required".to_owned(), required.into());
    if let Some(about) = about {
        parameter.insert("description".to_owned(), about);
    }
    parameter.insert("schema".to_owned(), schema);
    Value::Object(parameter)
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

fn is_optional(schema: &Value) -> bool {
    let kinds = schema.get("type").and_then(Value::as_array);
    let branches = schema.get("anyOf").and_then(Value::as_array);
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"))
        || branches.is_some_and(|branches| branches.iter().any(|it| is_null(resolved(it, it))))
}

/// A parameter is there or not; it is never null.
pub(crate) fn strip_null(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if let Some(Value::Array(kinds)) = members.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    if let Some(Value::Array(branches)) = members.get_mut("anyOf") {
        branches.retain(|branch| !is_null(branch));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            members.extend(only);
        }
    }
}
