//! A budget as data that may be `false`: TOML has no other way to say "none" where the
//! default is "some".

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::BudgetConfig;

pub(super) fn serialize<S: Serializer>(
    budget: &Option<BudgetConfig>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match budget {
        Some(budget) => budget.serialize(serializer),
        None => serializer.serialize_bool(false),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BudgetConfig>, D::Error> {
    deserializer.deserialize_any(Switch)
}

struct Switch;

impl<'de> de::Visitor<'de> for Switch {
    type Value = Option<BudgetConfig>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a budget, `true` for the default one, or `false` for none")
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<Self::Value, E> {
        Ok(on.then(BudgetConfig::default))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
        deserialize(inner)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        BudgetConfig::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}
