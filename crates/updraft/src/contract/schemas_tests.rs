//! A type that reads otherwise than it writes is there twice, and all that holds it too.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Inner {
    #[serde(default)]
    count: u32,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Outer {
    inner: Inner,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Same {
    text: String,
}

#[test]
fn types_whose_two_schemas_differ_have_two_names() {
    let mut schemas = Schemas::new();
    let mut document = json!([
        schemas.of::<Outer>(Way::Read),
        schemas.of::<Outer>(Way::Written),
        schemas.of::<Same>(Way::Read),
        schemas.of::<Same>(Way::Written),
        schemas.add("Same", json!({ "type": "null" })),
        schemas.add("Same", json!({ "type": "boolean" })),
    ]);
    let all = schemas.finish(&mut [&mut document]);
    let names: Vec<_> =
        document.as_array().unwrap().iter().map(|it| it["$ref"].as_str().unwrap()).collect();
    let home = |name: &str| format!("#/components/schemas/{name}");
    let expected = ["OuterInput", "Outer", "Same", "Same", "Same_", "Same2"].map(home);
    assert_eq!(names, expected);
    assert_eq!(all["OuterInput"]["properties"]["inner"]["$ref"], home("InnerInput"));
    assert_eq!(all["Outer"]["properties"]["inner"]["$ref"], home("Inner"));
    assert_eq!(all["Same_"], json!({ "type": "null" }));
    assert_eq!(all.len(), 7);
}
