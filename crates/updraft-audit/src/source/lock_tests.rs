//! Folders as package managers leave them, and as people leave them.

use proptest::prelude::*;

use super::super::trees::Folder;
use super::*;
use crate::verdict::Verdict;

type Files = &'static [(&'static str, &'static str)];

/// A case: what it is, the folder that is audited, its files, the verdict, and a word that the
/// evidence must have.
type Case = (&'static str, &'static str, Files, Verdict, &'static str);

#[path = "lock_tests/cargo.rs"]
mod cargo;
#[path = "lock_tests/golang.rs"]
mod golang;
#[path = "lock_tests/node.rs"]
mod node;
#[path = "lock_tests/others.rs"]
mod others;
#[path = "lock_tests/python.rs"]
mod python;
#[path = "lock_tests/yarn.rs"]
mod yarn;

use Verdict::{Fail, NotApplicable, Pass, Unknown, Warn};

/// Looks at each.
fn check(cases: &[Case]) {
    for (what, place, files, verdict, word) in cases {
        let folder = Folder::with(files);
        let seen = look(&folder.tree_at(place));
        assert_eq!(seen.verdict, *verdict, "{what}: {seen:?}");
        assert!(seen.evidence.contains(word), "{what}: {word}: {seen:?}");
    }
}

const CARGO: &str = "[package]\nname = 'shop'\nversion = '0.1.0'\n[dependencies]\nserde = '1.0.100'\n[target.'cfg(unix)'.dependencies]\nnew = { package = 'old', version = '0.3' }\n";
const CARGO_LOCK: &str = "version = 4\n[[package]]\nname = 'old'\nversion = '0.3.7'\n[[package]]\nname = 'serde'\nversion = '1.0.228'\n[[package]]\nname = 'shop'\nversion = '0.1.0'\ndependencies = ['old', 'serde']\n";
const CARGO_MEMBER: &str =
    "[package]\nname = 'shop'\n[dependencies]\nserde.workspace = true\nold = '0.3'\n";
const CARGO_ROOT: &str =
    "[workspace]\nmembers = ['a']\nexclude = ['b']\n[workspace.dependencies]\nserde = '1'\n";

const NODE: &str =
    r#"{"dependencies": {"express": "^4.18.0"}, "devDependencies": {"jest": "29.x"}}"#;
const NPM: &str = r#"{"lockfileVersion": 3, "packages": {
    "": {"dependencies": {"express": "^4.18.0"}, "devDependencies": {"jest": "29.x"}},
    "node_modules/express": {"version": "4.19.2"}, "node_modules/jest": {"version": "29.7.0"}}}"#;

#[test]
fn without_a_manifest_only_the_library_of_the_language_is_enough() {
    check(&[
        (
            "the library of Python",
            "",
            &[
                (
                    "app.py",
                    "import os, json\nfrom http.server import X\nfrom .b import c\nimport shop\n",
                ),
                ("shop/__init__.py", "from __future__ import annotations\n"),
            ],
            NotApplicable,
            "2 scripts",
        ),
        (
            "Flask",
            "",
            &[("app.py", "import os\n    from flask import Flask\n")],
            Unknown,
            "`flask`",
        ),
        (
            "the library of Node.js",
            "",
            &[(
                "app.mjs",
                "import http from \"node:http\";\nimport './a.js';\nconst p = require('fs/promises');\n",
            )],
            NotApplicable,
            "1 scripts",
        ),
        ("Express", "", &[("a.js", "const e = require('express')\n")], Unknown, "`express`"),
        ("nothing", "", &[("README", "")], Unknown, "no manifest"),
        ("another manager", "", &[("mix.exs", "")], Unknown, "mix.exs"),
        ("another one by its ending", "", &[("Shop.csproj", "")], Unknown, "Shop.csproj"),
    ]);
}

#[test]
fn the_worst_of_several_decides_and_all_are_named() {
    check(&[
        (
            "two that are whole",
            "",
            &[
                ("Cargo.toml", CARGO),
                ("Cargo.lock", CARGO_LOCK),
                ("package.json", NODE),
                ("package-lock.json", NPM),
            ],
            Pass,
            "package-lock.json holds",
        ),
        (
            "one that is not",
            "",
            &[("Cargo.toml", CARGO), ("requirements.txt", "a\n")],
            Fail,
            "does not pin `a`",
        ),
    ]);
}

#[test]
fn a_lockfile_that_nobody_commits_is_a_warning() {
    let folder = Folder::committed(&[
        (".gitignore", "Cargo.lock\n"),
        ("Cargo.toml", CARGO),
        ("Cargo.lock", CARGO_LOCK),
    ]);
    let seen = look(&folder.tree());
    assert_eq!(seen.verdict, Warn, "{seen:?}");
    assert!(seen.evidence.contains("not under version control"), "{seen:?}");
    folder.git(&["add", "-f", "Cargo.lock"]);
    assert_eq!(look(&folder.tree()).verdict, Pass);
}

#[test]
fn this_repository_is_locked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seen = look(&Tree::at(root).unwrap());
    assert!(!matches!(seen.verdict, Fail | Unknown), "{seen:?}");
    let pricing = root.join("../../examples/shop/pricing");
    assert_eq!(look(&Tree::at(&pricing).unwrap()).verdict, NotApplicable);
}

#[test]
fn an_address_with_a_password_is_never_shown() {
    const CANARY: &str = "git+https://u:canary-7@h/x.git";
    let package = format!(r#"{{"dependencies": {{"a": "{CANARY}"}}}}"#);
    let pnpm = PNPM_OF_ANOTHER.replace("WHERE", CANARY);
    let cases: &[&[(&str, &str)]] = &[
        &[("package.json", &package), ("package-lock.json", r#"{"packages": {"": {}}}"#)],
        &[("package.json", &package), ("pnpm-lock.yaml", &pnpm)],
        &[
            ("package.json", r#"{"dependencies": {"a": "git+https://u:canary-7@h/y"}}"#),
            ("pnpm-lock.yaml", &pnpm),
        ],
        &[("package.json", &package), ("yarn.lock", "a@^1:\n")],
        &[("pyproject.toml", "[project]\ndependencies=['a @ https://u:canary-7@h/x']\n")],
        &[("requirements.txt", "a @ https://u:canary-7@h/x\n-r https://u:canary-7@h\n")],
        &[("requirements.txt", "https://u:canary-7@h/x.whl\n--index-url https://u:canary-7@h\n")],
        &[("Gemfile", "gem 'a', git: 'https://u:canary-7@h'\n")],
        &[("composer.json", r#"{"require": {"a/b": "https://u:canary-7@h"}}"#)],
    ];
    for files in cases {
        let seen = look(&Folder::with(files).tree());
        assert!(!format!("{seen:?}").contains("canary"), "{files:?}: {seen:?}");
    }
}

const PNPM_OF_ANOTHER: &str =
    "importers:\n\n  .:\n    dependencies:\n      a:\n        specifier: WHERE\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_manifest_is_read_without_panic(
        texts in prop::collection::vec(
            prop_oneof![
                any::<Vec<u8>>(),
                "[\\[\\]a-z{}\":=.,\\n' @#-]{0,60}".prop_map(String::into_bytes),
                "(\\{\"dependencies\": \\{\"a\": \"[^\"]{0,9}\"\\}\\}|gem ['\"é]{0,3}|[ ]{0,9}[a-z.]{1,4}: ?\\n){0,9}"
                    .prop_map(String::into_bytes),
            ],
            14,
        ),
    ) {
        let names = [
            "Cargo.toml", "Cargo.lock", "package.json", "package-lock.json", "pnpm-lock.yaml",
            "yarn.lock", "pyproject.toml", "uv.lock", "requirements.txt", "go.mod", "go.sum",
            "Gemfile", "Gemfile.lock", "pom.xml",
        ];
        let folder = Folder::with(&[]);
        for (name, text) in names.iter().zip(&texts) {
            folder.write(name, text);
        }
        drop(look(&folder.tree()));
    }
}
