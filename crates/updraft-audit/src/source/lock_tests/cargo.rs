//! Packages and workspaces of Cargo.

use super::*;

const WHAT_CARGO_WOULD_REFUSE_FAILS: &[Case] = &[
    ("whole", "", &[("Cargo.toml", CARGO), ("Cargo.lock", CARGO_LOCK)], Pass, "2 dependencies"),
    ("no lock", "", &[("Cargo.toml", CARGO)], Fail, "no Cargo.lock"),
    (
        "no dependencies",
        "",
        &[("Cargo.toml", "[package]\nname = 'shop'\n")],
        Pass,
        "no dependencies",
    ),
    (
        "a dependency that was added and not locked",
        "",
        &[
            ("Cargo.toml", "[package]\nname='shop'\n[dependencies]\nserde='1'\nrand='0.9'\n"),
            ("Cargo.lock", CARGO_LOCK),
        ],
        Fail,
        "`rand`",
    ),
    (
        "a requirement that was raised",
        "",
        &[
            ("Cargo.toml", "[package]\nname='shop'\n[dependencies]\nserde='2'\nold='0.3'\n"),
            ("Cargo.lock", CARGO_LOCK),
        ],
        Fail,
        "`serde` that is `2`",
    ),
    (
        "a requirement that the simple rules do not decide",
        "",
        &[
            ("Cargo.toml", "[package]\nname='shop'\n[dependencies]\nserde='2.0.0-rc.1'\n"),
            ("Cargo.lock", CARGO_LOCK),
        ],
        Pass,
        "",
    ),
    (
        "the lock of another package",
        "",
        &[("Cargo.toml", "[package]\nname='other'\n"), ("Cargo.lock", CARGO_LOCK)],
        Fail,
        "no package `other`",
    ),
    (
        "a member, locked at the root",
        "a",
        &[("a/Cargo.toml", CARGO_MEMBER), ("Cargo.toml", CARGO_ROOT), ("Cargo.lock", CARGO_LOCK)],
        Pass,
        "",
    ),
    (
        "excluded from the workspace above",
        "b",
        &[("b/Cargo.toml", CARGO_MEMBER), ("Cargo.toml", CARGO_ROOT), ("Cargo.lock", CARGO_LOCK)],
        Fail,
        "no Cargo.lock",
    ),
    (
        "not TOML",
        "",
        &[("Cargo.toml", "[package"), ("Cargo.lock", CARGO_LOCK)],
        Unknown,
        "could not be read",
    ),
];

#[test]
fn what_cargo_would_refuse_fails() {
    check(WHAT_CARGO_WOULD_REFUSE_FAILS);
}
