//! The JSON Schema of the manifest, made from the table of keys, so that editors
//! complete and check `updraft.toml` while it is written.

use serde_json::{Map, Value, json};

use super::keys;
use super::shape::{Absent, Key, Label, Record, Shape, Tagged, Variant};
use crate::Name;

const NAME: &str = "^[a-z]([a-z0-9-]*[a-z0-9])?$";
const VARIABLE: &str = "^[A-Z][A-Z0-9_]*$";
const OPERATION: &str = r"^([A-Z]+|\*) /\S*$";
const DURATION: &str = "^([0-9]+(ms|s|m|h))+$";
const PATH: &str = r"^(?!/)(?!(.*/)?\.\.(/|$)).+$";
const URL_PATH: &str = "^/([^/].*)?$";

/// The JSON Schema (2020-12) of a manifest. It knows the form; references between
/// parts are checked by [`crate::parse_manifest`] alone.
pub fn json_schema() -> Value {
    let mut schema = record(&keys::MANIFEST);
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        fields.insert("title".into(), "updraft.toml".into());
    }
    schema
}

fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::Name => json!({ "type": "string", "pattern": NAME, "maxLength": Name::LENGTH_MAX }),
        Shape::Text => json!({ "type": "string" }),
        Shape::Version => json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)*$" }),
        Shape::Command => json!({ "type": "string", "pattern": "\\S" }),
        Shape::Path => json!({ "type": "string", "pattern": PATH }),
        Shape::UrlPath => json!({ "type": "string", "pattern": URL_PATH }),
        Shape::Regex => json!({ "type": "string", "format": "regex" }),
        Shape::Duration { .. } => json!({ "type": "string", "pattern": DURATION }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::True => json!({ "const": true }),
        Shape::False => json!({ "const": false }),
        Shape::Form(form) => json!({ "type": "string", "pattern": form.pattern }),
        Shape::Choice(numbers) => json!({ "enum": numbers }),
        Shape::Whole { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Shape::Number => json!({ "type": "number" }),
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Date => json!({ "type": "string", "format": "date" }),
        Shape::Any => json!({}),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::List(each) => json!({ "type": "array", "items": self::shape(each) }),
        Shape::Record(one) => record(one),
        Shape::Tagged(one) => tagged(one),
        Shape::Map(label, each) => map(*label, each),
        Shape::Either(shapes) => either(shapes),
        Shape::Unbuilt(_) => json!({ "not": {} }),
    }
}

fn either(shapes: &[Shape]) -> Value {
    let built: Vec<_> = shapes.iter().filter(|one| !one.is_unbuilt()).map(shape).collect();
    match <[Value; 1]>::try_from(built) {
        Ok([one]) => one,
        Err(several) => json!({ "anyOf": several }),
    }
}

fn map(label: Label, each: &Shape) -> Value {
    let mut map = json!({ "type": "object", "additionalProperties": shape(each) });
    match label {
        Label::Name(_) => map["propertyNames"] = shape(&Shape::Name),
        Label::Variable => map["propertyNames"] = json!({ "pattern": VARIABLE }),
        Label::Operation => map["propertyNames"] = json!({ "pattern": OPERATION }),
        Label::Free => {}
    }
    map
}

fn record(record: &Record) -> Value {
    let mut object = object(record.doc, record.keys);
    if !record.exactly_one.is_empty() {
        let each = record.exactly_one.iter().map(|name| json!({ "required": [name] }));
        object["oneOf"] = each.collect();
    }
    object
}

fn tagged(tagged: &Tagged) -> Value {
    let built = tagged.variants.iter().filter(|variant| variant.unbuilt.is_none());
    let each = built.map(|Variant { name, doc, keys, .. }| {
        let mut object = object(doc, keys);
        object["properties"][tagged.tag] = json!({ "const": name, "description": doc });
        object["required"] = json!([tagged.tag]);
        object
    });
    json!({ "description": tagged.doc, "oneOf": each.collect::<Value>() })
}

fn object(doc: &str, keys: &[Key]) -> Value {
    let required = keys.iter().filter(|key| key.absent == Absent::Required);
    let required: Vec<_> = required.map(|key| key.name).collect();
    let properties: Map<String, Value> =
        keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    json!({
        "type": "object",
        "description": doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut property = shape(&key.shape);
    let description = match (&key.shape, key.absent) {
        (Shape::Unbuilt(unbuilt), _) => {
            format!("{} Not built yet: {}.", key.doc, unbuilt.instead)
        }
        (_, Absent::Required) => format!("{} Required.", key.doc),
        (_, Absent::Means(default)) => format!("{} Where absent: {default}.", key.doc),
    };
    property["description"] = description.into();
    property
}
