//! Journeys as JSON, with the keys that the manifest has: for the command line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use updraft_system::audit::{Ask, Step};

/// A journey is written wrong.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJourney {
    /// It is no list of steps.
    #[error(
        "it has to be a JSON array of steps, such as [{{\"do\": \"POST /carts\", \"expect\": 201}}]"
    )]
    Json(#[from] serde_json::Error),
    /// A step asks for nothing.
    #[error("`{0}` is no request: write a method and a path, such as `GET /carts`")]
    Ask(String),
}

/// The steps of a JSON array, written as in the manifest: `[{"do": "POST /carts", "json": {…},
/// "expect": 201, "save": {"id": "/id"}, "match": {"/sku": "A1"}}]`.
///
/// # Errors
///
/// What is wrong with the text.
pub fn journey_from_json(text: &str) -> Result<Vec<Step>, InvalidJourney> {
    let written: Vec<WrittenStep> = serde_json::from_str(text)?;
    written.into_iter().map(WrittenStep::read).collect()
}

/// As [`journey_from_json`] reads it.
pub(crate) fn journey_to_json(steps: &[Step]) -> String {
    let written: Vec<_> = steps.iter().map(WrittenStep::of).collect();
    serde_json::to_string(&written).unwrap_or_default()
}

/// A step as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    r#do: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<u16>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    save: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", rename = "match")]
    matches: BTreeMap<String, serde_json::Value>,
}

impl WrittenStep {
    fn read(self) -> Result<Step, InvalidJourney> {
        let ask = self.r#do.parse::<Ask>().ok().ok_or(InvalidJourney::Ask(self.r#do))?;
        let ask = Ask { json: self.json.map(|json| json.to_string()), ..ask };
        Ok(Step { ask, expect: self.expect, save: self.save, matches: self.matches })
    }

    fn of(step: &Step) -> Self {
        Self {
            r#do: format!("{} {}", step.ask.method, step.ask.path),
            json: step.ask.json.as_deref().and_then(|json| serde_json::from_str(json).ok()),
            expect: step.expect,
            save: step.save.clone(),
            matches: step.matches.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journey_survives_its_text() {
        let text = r#"[{"do":"POST /carts","json":{"sku":"A1"},"expect":201,"save":{"id":"/id"}},
                       {"do":"GET /carts/{id}","match":{"/items/0":1}}]"#;
        let journey = journey_from_json(text).unwrap();
        assert_eq!(journey.len(), 2);
        assert_eq!(journey_from_json(&journey_to_json(&journey)).unwrap(), journey);
        for wrong in ["{}", r#"[{"do":"carts"}]"#, r#"[{"do":"GET /","exepct":1}]"#] {
            assert!(journey_from_json(wrong).is_err(), "{wrong}");
        }
    }
}
