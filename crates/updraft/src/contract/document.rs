//! The OpenAPI document of one version.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use super::shape::Shape;
use super::sorted;
use crate::api::{ApiFault, Declaration};
use crate::release::Release;

/// The name of the way in which callers say who they are.
pub(super) const SCHEME: &str = "bearer";

/// A contract, and what keeps it from being one.
#[derive(Debug)]
pub(crate) struct Contract {
    document: Document,
    pub(crate) faults: Vec<ApiFault>,
}

/// The members in the order in which people read them.
#[derive(Debug, Serialize)]
struct Document {
    openapi: &'static str,
    info: Value,
    servers: Value,
    paths: BTreeMap<String, BTreeMap<String, Value>>,
    components: Value,
}

type Operations<'a> = &'a [(&'static Declaration, fn(&mut Shape<'_>))];

impl Contract {
    /// The contract of these operations.
    pub(crate) fn of(release: &Release, version: Option<u32>, operations: Operations<'_>) -> Self {
        let mut schemas = Schemas::new();
        let mut faults = Vec::new();
        let mut paths: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        let ids = ids(operations, &mut faults);
        let mut scopes = false;
        for ((declaration, describe), id) in operations.iter().zip(ids) {
            let mut operation = declared(declaration, id);
            let mut shape = Shape::new(&mut schemas, declaration.parameters().collect());
            access(declaration, &mut shape);
            if let Some(wanted) = declaration.idempotent {
                shape.idempotency_key(wanted);
            }
            describe(&mut shape);
            scopes |= shape.has_caller();
            let wrong = shape.finish(&mut operation).into_iter();
            faults.extend(
                wrong.map(|detail| ApiFault::Shape { operation: declaration.to_string(), detail }),
            );
            scopes |= !declaration.scopes.is_empty();
            if version.is_some() && declaration.since.is_none() {
                // It is not below the version.
                operation.insert("servers".to_owned(), json!([{ "url": "/" }]));
            }
            let path = paths.entry(declaration.path.to_owned()).or_default();
            path.insert(declaration.method.key().to_owned(), Value::Object(operation));
        }
        let mut all: Vec<&mut Value> = paths.values_mut().flat_map(BTreeMap::values_mut).collect();
        let schemas = schemas.finish(&mut all);
        for operation in all {
            *operation = sorted(operation.take());
        }
        let mut components = json!({ "schemas": schemas });
        if scopes {
            components["securitySchemes"] = json!({
                SCHEME: { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            });
        }
        let document = Document {
            openapi: "3.1.0",
            info: info(release, version),
            servers: json!([{ "url": version.map_or("/".to_owned(), |it| format!("/v{it}")) }]),
            paths,
            components: sorted(components),
        };
        Self { document, faults }
    }

    /// The document as text, the same for the same API, with a line break at its end.
    pub(crate) fn text(&self) -> String {
        // A document of strings and numbers can always be written.
        let mut text = serde_json::to_string_pretty(&self.document).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The document as a value.
    pub(crate) fn value(&self) -> Value {
        serde_json::to_value(&self.document).unwrap_or_default()
    }
}

/// A contract is of a version of the API; the release that serves it is in it only when the
/// API has no versions.
fn info(release: &Release, version: Option<u32>) -> Value {
    let own = version.map_or(release.version().to_owned(), |version| version.to_string());
    json!({ "title": release.service(), "version": own })
}

fn declared(declaration: &Declaration, id: String) -> Map<String, Value> {
    let mut operation = Map::new();
    let mut put = |name: &str, value: Value| drop(operation.insert(name.to_owned(), value));
    put("operationId", id.into());
    if !declaration.summary.is_empty() {
        put("summary", declaration.summary.into());
    }
    if !declaration.description.is_empty() {
        put("description", declaration.description.into());
    }
    if declaration.deprecated {
        put("deprecated", true.into());
    }
    let first = declaration.path.split('/').find(|it| !it.is_empty() && !it.starts_with('{'));
    match (declaration.tags, first) {
        ([], Some(first)) => put("tags", json!([first])),
        ([], None) => {}
        (tags, _) => put("tags", json!(tags)),
    }
    if !declaration.scopes.is_empty() {
        put("security", json!([{ SCHEME: declaration.scopes }]));
    }
    operation
}

fn access(declaration: &Declaration, shape: &mut Shape<'_>) {
    use crate::problem::ProblemKind;
    if !declaration.scopes.is_empty() {
        shape.problem(&ProblemKind::UNAUTHORIZED);
        shape.problem(&ProblemKind::FORBIDDEN);
    }
}

/// The names of operations: those of their functions, with the module where two are alike.
fn ids(operations: Operations<'_>, faults: &mut Vec<ApiFault>) -> Vec<String> {
    let own = |declaration: &Declaration| {
        let alike = operations.iter().filter(|(it, _)| it.id == declaration.id).count();
        let module = declaration.module.rsplit("::").next().unwrap_or_default();
        if alike > 1 { format!("{module}_{}", declaration.id) } else { declaration.id.to_owned() }
    };
    let ids: Vec<_> = operations.iter().map(|(declaration, _)| own(declaration)).collect();
    for (index, id) in ids.iter().enumerate() {
        if let Some(first) = ids.iter().take(index).position(|it| it == id)
            && let (Some((first, _)), Some((second, _))) =
                (operations.get(first), operations.get(index))
        {
            let (first, second) = (first.to_string(), second.to_string());
            faults.push(ApiFault::Id { id: id.clone(), first, second });
        }
    }
    ids
}
