//! Components of each kind of lock file, and that the document is one of CycloneDX.

use serde_json::{Value, json};

use super::*;
use crate::Package;

const LOCK: &str = r#"
version = 4
[[package]]
name = "app"
version = "0.1.0"
dependencies = ["built", "macros", "run 2.0.0", "repo"]
[[package]]
name = "run"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "1111111111111111111111111111111111111111111111111111111111111111"
[[package]]
name = "run"
version = "2.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "2222222222222222222222222222222222222222222222222222222222222222"
dependencies = ["both"]
[[package]]
name = "built"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "3333333333333333333333333333333333333333333333333333333333333333"
dependencies = ["both"]
[[package]]
name = "macros"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "4444444444444444444444444444444444444444444444444444444444444444"
[[package]]
name = "both"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "5555555555555555555555555555555555555555555555555555555555555555"
[[package]]
name = "repo"
version = "0.2.0"
source = "git+https://host.invalid/repo?branch=main#0123abcd"
"#;

fn metadata() -> String {
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let package = |id: &str, version: &str, source: Value, kind: &str, license: Value| {
        json!({ "id": format!("{id} {version}"), "name": id, "version": version, "source": source,
                "license": license, "targets": [{ "kind": [kind] }] })
    };
    let edge = |to: &str, kinds: Value| json!({ "pkg": to, "dep_kinds": kinds });
    let normal = json!([{ "kind": null }]);
    json!({
        "packages": [
            package("app", "0.1.0", Value::Null, "bin", Value::Null),
            package("run", "1.0.0", json!(registry), "lib", json!("MIT")),
            package("run", "2.0.0", json!(registry), "lib", json!("MIT/Apache-2.0")),
            package("built", "1.0.0", json!(registry), "lib", json!("Zlib")),
            package("macros", "1.0.0", json!(registry), "proc-macro", json!("MIT")),
            package("both", "1.0.0", json!(registry), "lib", json!("(MIT OR Apache-2.0) AND Unicode-3.0")),
        ],
        "resolve": { "nodes": [
            { "id": "app 0.1.0", "deps": [
                edge("built 1.0.0", json!([{ "kind": "build" }])),
                edge("macros 1.0.0", normal.clone()),
                edge("run 2.0.0", normal.clone()),
                edge("run 1.0.0", json!([{ "kind": "dev" }])),
            ] },
            { "id": "built 1.0.0", "deps": [edge("both 1.0.0", normal.clone())] },
            { "id": "run 2.0.0", "deps": [edge("both 1.0.0", normal)] },
            { "id": "run 1.0.0", "deps": [] },
            { "id": "macros 1.0.0", "deps": [] },
            { "id": "both 1.0.0", "deps": [] },
        ] },
    })
    .to_string()
}

fn used(package: &str) -> Result<Components, SbomError> {
    cargo_components(LOCK, Some(CargoUse { package, metadata: &metadata(), tree: None }))
}

fn row(component: &Component) -> String {
    let reference = component.bom_ref.as_deref().unwrap();
    let hashes: Vec<String> =
        component.hashes.iter().map(|it| format!("{}:{}", it.alg, &it.content[..4])).collect();
    let licences: Vec<String> = component
        .licenses
        .iter()
        .map(|it| match it {
            License::Expression { expression } => expression.clone(),
            License::Named { license } => format!("\"{}\"", license.name),
        })
        .collect();
    let scope = component.scope.as_deref().unwrap_or("-");
    format!("{reference} {scope} {} {}", hashes.join(","), licences.join(",")).trim().to_owned()
}

fn rows(components: &Components) -> Vec<String> {
    let mut rows: Vec<String> = components.components.iter().map(row).collect();
    rows.sort();
    rows
}

#[test]
fn of_a_lock_file_alone_everything_is_named() {
    let components = cargo_components(LOCK, None).unwrap();
    assert_eq!(
        rows(&components),
        [
            "path:app@0.1.0 required",
            "pkg:cargo/both@1.0.0 required SHA-256:5555",
            "pkg:cargo/built@1.0.0 required SHA-256:3333",
            "pkg:cargo/macros@1.0.0 required SHA-256:4444",
            "pkg:cargo/repo@0.2.0?vcs_url=git%2Bhttps:%2F%2Fhost.invalid%2Frepo%400123abcd required",
            "pkg:cargo/run@1.0.0 required SHA-256:1111",
            "pkg:cargo/run@2.0.0 required SHA-256:2222",
        ]
    );
    let needs = &components.needs["path:app@0.1.0"];
    assert!(needs.contains("pkg:cargo/run@2.0.0") && !needs.contains("pkg:cargo/run@1.0.0"));
}

#[test]
fn with_metadata_only_what_is_used_is_named_and_what_only_builds_is_told_apart() {
    let components = used("app").unwrap();
    assert_eq!(
        rows(&components),
        [
            "path:app@0.1.0 required",
            "pkg:cargo/both@1.0.0 required SHA-256:5555 (MIT OR Apache-2.0) AND Unicode-3.0",
            "pkg:cargo/built@1.0.0 excluded SHA-256:3333 Zlib",
            "pkg:cargo/macros@1.0.0 excluded SHA-256:4444 MIT",
            "pkg:cargo/run@2.0.0 required SHA-256:2222 MIT OR Apache-2.0",
        ]
    );
    let error = used("other").unwrap_err();
    assert!(matches!(error, SbomError::NoPackage { .. }), "{error}");
}

#[test]
fn what_this_crate_is_made_of_is_what_cargo_tree_says() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    let cargo = |arguments: &[&str]| {
        let mut cargo = std::process::Command::new("cargo");
        cargo.args(arguments).args(["--manifest-path", manifest, "--offline", "--locked"]);
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = cargo(&["metadata", "--format-version", "1", "--filter-platform", &target]);
    let tree = |edges: &str| {
        cargo(&["tree", "-e", edges, "--prefix", "none", "-f", "{p}", "--target", &target])
    };
    let lock = std::fs::read_to_string(lock).unwrap();
    let all = tree("normal,build");
    let used_by = CargoUse { package: "updraft-image", metadata: &metadata, tree: Some(&all) };
    let made = cargo_components(&lock, Some(used_by)).unwrap();
    let of_tree = |text: &str| -> BTreeSet<String> {
        let two = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        text.lines().map(two).collect()
    };
    let ours = |scope: Option<&str>| -> BTreeSet<String> {
        let fits =
            made.components.iter().filter(|it| scope.is_none_or(|_| it.scope.as_deref() == scope));
        fits.map(|it| format!("{} v{}", it.name, it.version.as_deref().unwrap())).collect()
    };
    assert_eq!(ours(None), of_tree(&all));
    assert_eq!(ours(Some("required")), of_tree(&tree("normal,no-proc-macro")));
    assert!(ours(Some("excluded")).len() > 3);
    assert!(made.components.iter().all(|it| it.purl.is_none() || !it.licenses.is_empty()));
}

const NPM: &str = r#"{ "name": "web", "lockfileVersion": 3, "packages": {
  "": { "name": "web", "version": "1.0.0" },
  "node_modules/@scope/a": { "version": "1.0.0", "resolved": "https://registry.npmjs.org/@scope/a/-/a-1.0.0.tgz",
     "integrity": "sha512-AQIDBA==", "license": "MIT", "dependencies": { "b": "^2.0.0" } },
  "node_modules/@scope/a/node_modules/b": { "version": "2.0.0", "license": "SEE LICENSE IN x" },
  "node_modules/b": { "version": "1.0.0", "dev": true, "license": "(MIT OR CC0-1.0)" },
  "node_modules/alias": { "name": "real", "version": "3.0.0", "resolved": "git+ssh://git@host.invalid/real.git#abc" },
  "node_modules/local": { "resolved": "packages/local", "link": true },
  "packages/local": { "name": "local", "version": "0.0.1" }
} }"#;

#[test]
fn packages_of_npm_are_named_with_scopes_hashes_and_licences() {
    let components = npm_components(NPM).unwrap();
    assert_eq!(
        rows(&components),
        [
            "path:packages/local@0.0.1 required",
            "pkg:npm/%40scope/a@1.0.0 required SHA-512:0102 MIT",
            "pkg:npm/b@1.0.0 excluded  (MIT OR CC0-1.0)",
            "pkg:npm/b@2.0.0 required  \"SEE LICENSE IN x\"",
            "pkg:npm/real@3.0.0?vcs_url=git%2Bssh:%2F%2Fgit%40host.invalid%2Freal.git%23abc required",
        ]
    );
    let needs: Vec<&String> = components.needs["pkg:npm/%40scope/a@1.0.0"].iter().collect();
    assert_eq!(needs, ["pkg:npm/b@2.0.0"]);
    let old = npm_components(r#"{ "lockfileVersion": 1, "dependencies": {} }"#).unwrap_err();
    assert!(old.to_string().contains("2 and 3 are read"), "{old}");
}

const UV: &str = r#"
version = 1
requires-python = ">=3.11"
[[package]]
name = "pricing"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "flask" }]
[[package]]
name = "flask"
version = "3.0.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "my-lib", marker = "python_version > '3'" }]
sdist = { url = "https://files.invalid/flask.tar.gz", hash = "sha256:aaaa", size = 1 }
wheels = [{ url = "https://files.invalid/flask.whl", hash = "sha256:bbbb", size = 1 }]
[[package]]
name = "my-lib"
version = "1.0"
source = { git = "https://host.invalid/lib?rev=main#0123" }
"#;

const POETRY: &str = r#"
[[package]]
name = "Flask"
version = "3.0.0"
optional = false
groups = ["main"]
files = [{ file = "flask.whl", hash = "sha256:bbbb" }]
[package.dependencies]
My_Lib = ">=1"
[[package]]
name = "my-lib"
version = "1.0"
groups = ["dev"]
files = []
[package.source]
type = "git"
url = "https://host.invalid/lib"
reference = "main"
resolved_reference = "0123"
[metadata]
lock-version = "2.1"
"#;

const REQUIREMENTS: &str = "
# pinned
--index-url https://pypi.org/simple
Flask[async]==3.0.0 ; python_version >= '3.8' \\
    --hash=sha256:bbbb \\
    --hash=sha256:aaaa
my_lib == 1.0  # why
";

#[test]
fn packages_of_python_are_named_whichever_tool_locked_them() {
    assert_eq!(
        rows(&uv_components(UV).unwrap()),
        [
            "pkg:pypi/flask@3.0.0 required SHA-256:aaaa,SHA-256:bbbb",
            "pkg:pypi/my-lib@1.0?vcs_url=git%2Bhttps:%2F%2Fhost.invalid%2Flib%400123 required",
        ]
    );
    assert_eq!(
        rows(&poetry_components(POETRY).unwrap()),
        [
            "pkg:pypi/flask@3.0.0 required SHA-256:bbbb",
            "pkg:pypi/my-lib@1.0?vcs_url=git%2Bhttps:%2F%2Fhost.invalid%2Flib%400123 excluded",
        ]
    );
    let poetry = poetry_components(POETRY).unwrap();
    assert_eq!(poetry.needs["pkg:pypi/flask@3.0.0"].len(), 1);
    assert_eq!(
        rows(&requirements_components(REQUIREMENTS).unwrap()),
        ["pkg:pypi/flask@3.0.0 required SHA-256:aaaa,SHA-256:bbbb", "pkg:pypi/my-lib@1.0 required",]
    );
    let loose = requirements_components("a>=1\nb==1\n-r other.txt\n").unwrap_err().to_string();
    assert!(loose.contains("line 1") && loose.contains("line 3"), "{loose}");
}

fn harvested() -> Components {
    let file = |path: &str, package: Option<&str>| HarvestedFile {
        path: path.to_owned(),
        digest: Digest::of(path.as_bytes()),
        package: package.map(|name| Package {
            name: name.to_owned(),
            version: "2.36-9+deb12u10".to_owned(),
            architecture: "amd64".to_owned(),
            vendor: "debian".to_owned(),
            distribution: "debian-12".to_owned(),
            licences: vec!["LGPL-2.1+".to_owned()],
        }),
    };
    harvested_components(&[
        file("/usr/lib/libc.so.6", Some("libc6")),
        file("/usr/lib/libm.so.6", Some("libc6")),
        file("/opt/own.so", None),
    ])
}

#[test]
fn libraries_are_named_by_their_packages_and_unknown_ones_by_themselves() {
    let components = harvested();
    let rows = rows(&components);
    assert_eq!(rows.len(), 2);
    assert!(rows[0].starts_with("file:/opt/own.so required SHA-256:"), "{rows:?}");
    let libc = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12 required";
    assert_eq!(rows[1], format!("{libc}  \"LGPL-2.1+\""));
    let files = &components.components.iter().find(|it| it.name == "libc6").unwrap().properties;
    assert_eq!(files.len(), 2);
}

fn all() -> Vec<Components> {
    vec![
        used("app").unwrap(),
        cargo_components(LOCK, None).unwrap(),
        npm_components(NPM).unwrap(),
        uv_components(UV).unwrap(),
        poetry_components(POETRY).unwrap(),
        requirements_components(REQUIREMENTS).unwrap(),
        harvested(),
    ]
}

#[test]
fn the_document_is_one_of_cyclonedx() {
    // Hashes in these samples are cut short, and the schema knows their lengths.
    let whole = |mut components: Components| {
        for hash in components.components.iter_mut().flat_map(|it| &mut it.hashes) {
            let length = match hash.alg.as_str() {
                "SHA-512" => 128,
                _ => 64,
            };
            hash.content = hash.content.chars().cycle().take(length).collect();
        }
        components
    };
    let bom = Bom::of("shop", Some("1.0"), all().into_iter().map(whole).collect()).unwrap();
    let schema = include_str!("../../tests/cyclonedx/bom-1.6.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let judge = jsonschema::validator_for(&schema).unwrap();
    let document: Value = serde_json::from_slice(&bom.to_json()).unwrap();
    let errors: Vec<String> = judge
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut wrong = document.clone();
    wrong["components"][0]["scope"] = json!("somewhere");
    assert!(!judge.is_valid(&wrong), "the schema judges nothing");
    let references: BTreeSet<&str> = document["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["bom-ref"].as_str().unwrap())
        .collect();
    assert_eq!(references.len(), document["components"].as_array().unwrap().len());
    for dependency in document["dependencies"].as_array().unwrap() {
        assert!(references.contains(dependency["ref"].as_str().unwrap()));
        for on in dependency["dependsOn"].as_array().unwrap() {
            assert!(references.contains(on.as_str().unwrap()), "{on}");
        }
    }
}

#[test]
fn equal_contents_are_one_document_in_any_order_and_others_another() {
    let bom = Bom::of("shop", None, all()).unwrap();
    let mut reversed = all();
    reversed.reverse();
    for components in &mut reversed {
        components.components.reverse();
    }
    let again = Bom::of("shop", None, reversed).unwrap();
    let cut = |bom: &Bom| String::from_utf8(bom.to_json()).unwrap();
    assert_eq!(row(&bom.components[0]), row(&again.components[0]));
    assert_eq!(Bom::of("shop", None, all()).unwrap(), bom);
    let other = Bom::of("shop", Some("2"), all()).unwrap();
    assert_ne!(other.serial_number, bom.serial_number);
    let uuid = bom.serial_number.strip_prefix("urn:uuid:").unwrap();
    assert!(uuid.as_bytes()[14] == b'8' && b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
    assert!(!cut(&bom).contains("timestamp"));
}

#[test]
fn licences_are_expressions_where_they_read_as_such() {
    for (text, expected) in [
        ("MIT", "MIT"),
        ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
        ("UNLICENSED", "\"UNLICENSED\""),
        ("SEE LICENSE IN LICENSE", "\"SEE LICENSE IN LICENSE\""),
        ("The MIT License", "\"The MIT License\""),
        ("MIT OR", "\"MIT OR\""),
    ] {
        let mut component = Component::bare("library", "x");
        component.bom_ref = Some("x".to_owned());
        component.licenses = licence(text).into_iter().collect();
        assert_eq!(row(&component), format!("x -  {expected}"), "{text}");
    }
    assert_eq!(licence("  "), None);
}
