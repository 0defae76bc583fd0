//! Parameters of a request: in its path, its query and its headers.

use std::borrow::Cow;
use std::ops::Deref;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use url::form_urlencoded;

use super::body::schema_of;
use super::mismatch::{self, resolved};
use super::refusal::{Finding, Refusal};
use super::text::{self, Parameter, Parameters, gathered, header_name};
use crate::api::{Input, Received};
use crate::app::{App, Ctx};
use crate::contract::{Shape, strip_null};
use crate::problem::ProblemDetails;

/// Where a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

impl Place {
    /// As OpenAPI calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

macro_rules! parameters {
    ($(#[$about:meta])* $name:ident, $place:expr, $read:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name<T>(pub T);

        impl<T> $name<T> {
            /// What was read.
            pub fn into_inner(self) -> T {
                self.0
            }
        }

        impl<T> Deref for $name<T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<A: App, T: DeserializeOwned + JsonSchema + Send> Input<A> for $name<T> {
            const ROUTED: bool = false;

            async fn read(received: &mut Received, _: &Ctx<A>) -> Result<Self, Refusal> {
                let (parts, template) = received.head();
                $read(parts, template, Some(&schema_of::<T>)).await.map(Self)
            }

            fn describe(shape: &mut Shape<'_>) {
                shape.parameters::<T>($place);
            }
        }

        /// For routes of axum's own, where no schema is asked for: only the first mistake is
        /// named.
        impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for $name<T> {
            type Rejection = ProblemDetails;

            async fn from_request_parts(
                parts: &mut Parts,
                _: &S,
            ) -> Result<Self, ProblemDetails> {
                $read(parts, None, None).await.map(Self).map_err(Refusal::into_problem)
            }
        }
    };
}

parameters! {
    /// The parameters in the template of the path: one value for `/orders/{id}`, a tuple for
    /// several in their order, or a struct with their names. What cannot be read is a 400.
    Path, Place::Path, path
}

parameters! {
    /// The parameters of the query, a struct of them. A `Vec` is a parameter that may be
    /// repeated, an `Option` one that may be missing, an enum of bare variants one of some
    /// words. What cannot be read is a 400 that names every parameter that is wrong.
    Query, Place::Query, query
}

parameters! {
    /// Headers, a struct of them: the field `idempotency_key` is the header
    /// `idempotency-key`. What cannot be read is a 400 that names every header that is wrong.
    Headers, Place::Header, headers
}

type SchemaMaker<'a> = Option<&'a (dyn Fn() -> Schema + Sync)>;

/// By the template of its route, or, where that is axum's own, as axum's router has them.
async fn path<T: DeserializeOwned>(
    parts: &mut Parts,
    template: Option<&str>,
    schema: SchemaMaker<'_>,
) -> Result<T, Refusal> {
    let Some(template) = template else {
        let raw = RawPathParams::from_request_parts(parts, &()).await;
        let raw = raw.map_err(|_not_utf8| not_utf8())?;
        let pairs = raw.iter().map(|(name, text)| (Cow::Borrowed(name), Cow::Borrowed(text)));
        return read(Place::Path, &gathered(pairs), schema);
    };
    let parts = template.split('/').zip(parts.uri.path().split('/'));
    let pairs = parts.filter_map(|(part, text)| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let text = percent_decode_str(text).decode_utf8().map_err(|_not_utf8| not_utf8());
        Some(text.map(|text| (Cow::Borrowed(name), text)))
    });
    let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    read(Place::Path, &gathered(pairs), schema)
}

fn not_utf8() -> Refusal {
    let detail = "the path is no text in UTF-8";
    let finding = Finding { detail: detail.to_owned(), ..Finding::in_body("", "") };
    Refusal::malformed(vec![Finding { pointer: None, ..finding }])
}

async fn query<T: DeserializeOwned>(
    parts: &mut Parts,
    _: Option<&str>,
    schema: SchemaMaker<'_>,
) -> Result<T, Refusal> {
    let text = parts.uri.query().unwrap_or_default();
    read(Place::Query, &gathered(form_urlencoded::parse(text.as_bytes())), schema)
}

async fn headers<T: DeserializeOwned>(
    parts: &mut Parts,
    _: Option<&str>,
    schema: SchemaMaker<'_>,
) -> Result<T, Refusal> {
    let pairs = parts.headers.iter().map(|(name, value)| {
        (Cow::Borrowed(name.as_str()), String::from_utf8_lossy(value.as_bytes()))
    });
    read(Place::Header, &gathered(pairs), schema)
}

fn read<T: DeserializeOwned>(
    place: Place,
    all: &[Parameter<'_>],
    schema: SchemaMaker<'_>,
) -> Result<T, Refusal> {
    let parameters = Parameters { all, by_field: place == Place::Header };
    let error = match T::deserialize(parameters) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let findings = schema.map(|schema| findings(place, all, schema().as_value()));
    match findings.filter(|findings| !findings.is_empty()) {
        Some(findings) => Err(Refusal::malformed(findings)),
        None => Err(Refusal::malformed(vec![first_mistake(place, error)])),
    }
}

fn first_mistake(place: Place, error: text::TextError) -> Finding {
    match error.name {
        Some(name) if place == Place::Header => {
            Finding::in_parameter(place.name(), header_name(&name), error.detail)
        }
        Some(name) => Finding::in_parameter(place.name(), name, error.detail),
        None => {
            let detail = format!("the {} {}", place.name(), error.detail);
            Finding { pointer: None, ..Finding::in_body("", detail) }
        }
    }
}

/// Every parameter that is not what the schema of all of them asks for.
fn findings(place: Place, all: &[Parameter<'_>], schema: &Value) -> Vec<Finding> {
    let mut schema = schema.clone();
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return Vec::new();
    };
    properties.values_mut().for_each(strip_null);
    let schema = &schema;
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut value = Map::new();
    for parameter in all {
        let own = |field: &&String| match place {
            Place::Header => header_name(field) == parameter.name,
            _ => **field == parameter.name,
        };
        let field = properties.keys().find(own);
        let known = field.and_then(|field| properties.get(field));
        // Requests have many headers that nobody here asks for.
        if known.is_none() && place == Place::Header {
            continue;
        }
        let name = field.map_or(parameter.name.as_ref(), String::as_str);
        match typed(schema, known.unwrap_or(&Value::Null), parameter.texts()) {
            Some(typed) => drop(value.insert(name.to_owned(), typed)),
            None => {
                let detail = format!("is given {} times", parameter.texts().len());
                findings.push(Finding::in_parameter(place.name(), &*parameter.name, detail));
                // The rest is judged as if one were there.
                value.insert(name.to_owned(), Value::Null);
            }
        }
    }
    let twice = findings.len();
    for found in mismatch::mismatches(schema, &Value::Object(value)) {
        let name = found.pointer.split('/').nth(1).unwrap_or_default();
        let name = if place == Place::Header { header_name(name) } else { name.to_owned() };
        let known = |it: &Finding| it.parameter.as_deref() == Some(&*name);
        if !findings.iter().take(twice).any(known) {
            findings.push(Finding::in_parameter(place.name(), name, found.detail));
        }
    }
    findings
}

/// Texts as the value that they stand for, as far as the schema says which. `None` when
/// there are several and one is asked for.
fn typed(root: &Value, schema: &Value, texts: &[Cow<'_, str>]) -> Option<Value> {
    let schema = without_null(root, schema);
    let is = |kind: &str| match schema.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(kinds)) => kinds.iter().any(|it| it == kind),
        _ => false,
    };
    if is("array") {
        let items = schema.get("items").unwrap_or(&Value::Null);
        let each = |text: &Cow<'_, str>| typed(root, items, std::slice::from_ref(text));
        return Some(Value::Array(texts.iter().filter_map(each).collect()));
    }
    let [text] = texts else { return None };
    let number = || {
        let whole = text.parse::<u64>().map(Number::from);
        whole.or_else(|_| text.parse::<i64>().map(Number::from)).ok()
    };
    let fraction = || text.parse::<f64>().ok().and_then(Number::from_f64);
    let typed = if is("integer") {
        number().map(Value::Number)
    } else if is("number") {
        number().or_else(fraction).map(Value::Number)
    } else if is("boolean") {
        text.parse().ok().map(Value::Bool)
    } else {
        None
    };
    Some(typed.unwrap_or_else(|| Value::String(text.to_string())))
}

/// What an optional parameter is when it is there.
fn without_null<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = resolved(root, schema);
    let branches = schema.get("anyOf").and_then(Value::as_array);
    let other = branches
        .into_iter()
        .flatten()
        .find(|branch| resolved(root, branch).get("type").and_then(Value::as_str) != Some("null"));
    other.map_or(schema, |other| resolved(root, other))
}
