//! What was read and also checked: every rule that it breaks is named at once.

use std::ops::{Deref, DerefMut};

use garde::Validate;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::body::schema_of;
use super::mismatch::{resolved, token};
use super::parameters::Place;
use super::refusal::{Finding, Refusal};
use super::text::header_name;
use super::{Headers, Json, Path, Query};
use crate::api::{Input, Received};
use crate::app::{App, Ctx};
use crate::contract::Shape;

/// A body of JSON whose rules hold: `Valid<NewOrder>` is [`Json`] and then [`garde`]. Around
/// parameters it checks those: `Valid<Query<Page>>`, `Valid<Path<…>>`, `Valid<Headers<…>>`.
///
/// ```
/// use garde::Validate;
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, JsonSchema, Validate)]
/// struct NewOrder {
///     #[garde(length(chars, min = 1, max = 20))]
///     sku: String,
///     #[garde(range(min = 1, max = 100))]
///     quantity: u32,
/// }
/// ```
///
/// A rule that is broken is a 422 that names every member that breaks one. The rules that a
/// schema can say (`length`, `range`, `pattern`, …) are in the contract too, because
/// `schemars` reads `#[garde(…)]`. Write `length(chars, …)` for text: `length` alone counts
/// bytes, and the `maxLength` of a schema counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Valid<T>(pub T);

impl<T> Valid<T> {
    /// What was checked.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Valid<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Valid<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<A, T> Input<A> for Valid<T>
where
    A: App,
    T: DeserializeOwned + JsonSchema + Validate<Context: Default> + Send,
{
    const BODY: bool = true;
    const ROUTED: bool = false;

    async fn read(received: &mut Received, app: &Ctx<A>) -> Result<Self, Refusal> {
        let Json(value) = <Json<T> as Input<A>>::read(received, app).await?;
        let broken = broken(&value, &schema_of::<T>);
        let finding = |(pointer, detail): (String, String)| Finding::in_body(&pointer, detail);
        refused(broken.into_iter().map(finding)).map(|()| Self(value))
    }

    fn describe(shape: &mut Shape<'_>) {
        <Json<T> as Input<A>>::describe(shape);
    }
}

macro_rules! valid_parameters {
    ($($kind:ident, $place:expr;)*) => {$(
        impl<A, T> Input<A> for Valid<$kind<T>>
        where
            A: App,
            T: DeserializeOwned + JsonSchema + Validate<Context: Default> + Send,
        {
            const ROUTED: bool = false;

            async fn read(received: &mut Received, app: &Ctx<A>) -> Result<Self, Refusal> {
                let value = <$kind<T> as Input<A>>::read(received, app).await?;
                let broken = broken(&value.0, &schema_of::<T>);
                let finding = |(pointer, detail): (String, String)| {
                    let name = pointer.split('/').nth(1).unwrap_or_default();
                    let name = match $place {
                        Place::Header => header_name(name),
                        _ => name.to_owned(),
                    };
                    Finding::in_parameter($place.name(), name, detail)
                };
                refused(broken.into_iter().map(finding)).map(|()| Self(value))
            }

            fn describe(shape: &mut Shape<'_>) {
                <$kind<T> as Input<A>>::describe(shape);
                shape.refuses_invalid();
            }
        }
    )*};
}

valid_parameters! {
    Query, Place::Query;
    Path, Place::Path;
    Headers, Place::Header;
}

fn refused(findings: impl Iterator<Item = Finding>) -> Result<(), Refusal> {
    let findings: Vec<_> = findings.collect();
    if findings.is_empty() { Ok(()) } else { Err(Refusal::invalid(findings)) }
}

/// The rules that are broken, each with the JSON pointer of its member.
fn broken<T: Validate<Context: Default>>(
    value: &T,
    schema: &dyn Fn() -> Schema,
) -> Vec<(String, String)> {
    let report = match value.validate_with(&T::Context::default()) {
        Ok(()) => return Vec::new(),
        Err(report) => report,
    };
    let schema = schema();
    let each = report.iter().map(|(path, error)| {
        let parts: Vec<_> = path.__iter().map(|(_, part)| part.as_str()).collect();
        (pointer(schema.as_value(), parts.iter().rev().copied()), error.message().to_owned())
    });
    each.collect()
}

/// The pointer of a field. Rules know the names that Rust has for members, and callers those
/// that serde has: the schema tells which is which.
fn pointer<'a>(root: &Value, parts: impl Iterator<Item = &'a str>) -> String {
    let mut schema = Some(root);
    let mut pointer = String::new();
    // A path of one unnamed field is that of its only value.
    for part in parts.filter(|part| !part.is_empty()) {
        let here = schema.map(|schema| resolved(root, schema));
        let properties = here.and_then(|it| it.get("properties")).and_then(Value::as_object);
        let names = properties.into_iter().flatten();
        let exact = properties.and_then(|names| names.get_key_value(part));
        let member = exact.or_else(|| names.into_iter().find(|(name, _)| alike(name, part)));
        let name = member.map_or(part, |(name, _)| name);
        schema = member.map(|(_, schema)| schema).or_else(|| here.and_then(|it| it.get("items")));
        pointer.push('/');
        pointer.push_str(&token(name));
    }
    pointer
}

/// Whether two spellings are of one name: `unit_price`, `unitPrice`, `UNIT-PRICE`.
fn alike(name: &str, other: &str) -> bool {
    fn letters(name: &str) -> impl Iterator<Item = char> + '_ {
        name.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase)
    }
    letters(name).eq(letters(other))
}
