//! The schemas of all types of a contract. What a type accepts and what it writes are often
//! not the same (a member with a default need not be sent, and always comes back), so both
//! are made, and a type whose two schemas differ is in the contract twice.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

/// Where the document has its schemas.
const HOME: &str = "#/components/schemas/";

/// Where schemas of what is read are, until it is known which have a name of their own.
const READ: &str = "#/components/read/";

/// Where schemas that no type has are, until all names are known.
const OWN: &str = "#/components/own/";

/// The schemas so far.
#[derive(Debug)]
pub(crate) struct Schemas {
    reads: SchemaGenerator,
    writes: SchemaGenerator,
    /// Schemas that no type has.
    own: BTreeMap<String, Value>,
}

/// Which way a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Written,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        let settings = |path: &'static str| {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = path.into();
                settings.meta_schema = None;
            })
        };
        Self {
            reads: settings("/components/read").for_deserialize().into_generator(),
            writes: settings("/components/schemas").for_serialize().into_generator(),
            own: BTreeMap::new(),
        }
    }

    /// A schema or a reference to it.
    pub(crate) fn of<T: JsonSchema>(&mut self, way: Way) -> Value {
        self.generator(way).subschema_for::<T>().to_value()
    }

    /// A schema whose own members are there, though those of its members may be references.
    pub(crate) fn inline<T: JsonSchema>(&mut self, way: Way) -> Value {
        T::json_schema(self.generator(way)).to_value()
    }

    /// A schema that no type has, under this name unless another has it; gives the reference.
    pub(crate) fn add(&mut self, name: &str, schema: Value) -> Value {
        let mut free = name.to_owned();
        let mut number = 2_u32;
        while self.is_taken(&free, &schema) {
            free = format!("{name}{number}");
            number += 1;
        }
        let reference = serde_json::json!({ "$ref": format!("{OWN}{free}") });
        self.own.insert(free, schema);
        reference
    }

    fn is_taken(&self, name: &str, schema: &Value) -> bool {
        self.own.get(name).is_some_and(|known| known != schema)
    }

    fn generator(&mut self, way: Way) -> &mut SchemaGenerator {
        match way {
            Way::Read => &mut self.reads,
            Way::Written => &mut self.writes,
        }
    }

    /// All schemas by their names. References in `document` are set right.
    pub(crate) fn finish(mut self, document: &mut [&mut Value]) -> BTreeMap<String, Value> {
        let reads: BTreeMap<_, _> = self.reads.take_definitions(true).into_iter().collect();
        let mut all: BTreeMap<_, _> = self.writes.take_definitions(true).into_iter().collect();
        let differing = differing(&reads, &all);
        let mut names = BTreeMap::new();
        for (name, schema) in reads {
            let own = match differing.contains(&name) {
                true => free(&all, format!("{name}Input")),
                false => name.clone(),
            };
            all.insert(own.clone(), schema);
            names.insert(format!("{READ}{name}"), own);
        }
        for (name, schema) in self.own {
            let own = free(&all, name.clone());
            all.insert(own.clone(), schema);
            names.insert(format!("{OWN}{name}"), own);
        }
        for schema in all.values_mut().chain(document.iter_mut().map(|it| &mut **it)) {
            rename(schema, &names);
        }
        all
    }
}

/// This name, or the next that nothing has.
fn free(all: &BTreeMap<String, Value>, mut name: String) -> String {
    while all.contains_key(&name) {
        name.push('_');
    }
    name
}

/// The types whose two schemas are not the same, or refer to one whose are not.
fn differing(
    reads: &BTreeMap<String, Value>,
    writes: &BTreeMap<String, Value>,
) -> BTreeSet<String> {
    let differs = |(name, read): (&String, &Value)| {
        let Some(written) = writes.get(name) else { return false };
        let mut read = read.clone();
        let at_home = |name: &String| (format!("{READ}{name}"), name.clone());
        rename(&mut read, &reads.keys().map(at_home).collect());
        *written != read
    };
    let mut differing: BTreeSet<String> =
        reads.iter().filter(|it| differs(*it)).map(|(name, _)| name.clone()).collect();
    loop {
        let refers = |(name, read): &(&String, &Value)| {
            writes.contains_key(*name)
                && !differing.contains(*name)
                && references(read).iter().any(|it| differing.contains(it))
        };
        let more: Vec<_> = reads.iter().filter(refers).map(|(name, _)| name.clone()).collect();
        if more.is_empty() {
            return differing;
        }
        differing.extend(more);
    }
}

/// The names that a schema of what is read refers to.
fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str);
            let own = own.and_then(|it| it.strip_prefix(READ)).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// Points references at home, by the names that their targets have there.
fn rename(schema: &mut Value, names: &BTreeMap<String, String>) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if let Some(name) = names.get(target) {
                            *target = format!("{HOME}{name}");
                        }
                    }
                    value => rename(value, names),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        _ => {}
    }
}

#[cfg(test)]
#[path = "schemas_tests.rs"]
mod tests;
