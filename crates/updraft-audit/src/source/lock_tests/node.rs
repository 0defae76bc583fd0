//! What npm and Bun leave.

use super::*;

const WHAT_NPM_WOULD_REFUSE_FAILS: &[Case] = &[
    ("whole", "", &[("package.json", NODE), ("package-lock.json", NPM)], Pass, "each of the 2"),
    ("no lock", "", &[("package.json", NODE)], Fail, "no lockfile"),
    ("nothing", "", &[("package.json", r#"{"name": "a"}"#)], Pass, "no dependencies"),
    (
        "only for development",
        "",
        &[("package.json", r#"{"devDependencies": {"jest": "1"}}"#)],
        Warn,
        "development",
    ),
    (
        "added and not locked",
        "",
        &[
            ("package.json", r#"{"dependencies": {"express": "^4.18.0", "koa": "2"}}"#),
            ("package-lock.json", NPM),
        ],
        Fail,
        "`koa`",
    ),
    (
        "optional and not locked",
        "",
        &[
            (
                "package.json",
                r#"{"dependencies": {"express": "^4.18.0", "fsevents": "2"},
                        "optionalDependencies": {"fsevents": "2"}}"#,
            ),
            ("package-lock.json", NPM),
        ],
        Pass,
        "",
    ),
    (
        "raised",
        "",
        &[
            ("package.json", r#"{"dependencies": {"express": "^5.0.0"}}"#),
            ("package-lock.json", NPM),
        ],
        Fail,
        "which is not `^5.0.0`",
    ),
    (
        "written otherwise, and still satisfied",
        "",
        &[
            ("package.json", r#"{"dependencies": {"express": ">=4.19.0 <5.0.0"}}"#),
            ("package-lock.json", NPM),
        ],
        Pass,
        "",
    ),
    (
        "a tag",
        "",
        &[
            ("package.json", r#"{"dependencies": {"express": "latest"}}"#),
            ("package-lock.json", NPM),
        ],
        Pass,
        "",
    ),
    (
        "version 1",
        "",
        &[
            ("package.json", r#"{"dependencies": {"express": "^4.18.0"}}"#),
            (
                "package-lock.json",
                r#"{"lockfileVersion": 1, "dependencies": {"express": {"version": "4.19.2"}}}"#,
            ),
        ],
        Pass,
        "",
    ),
    (
        "a member of a workspace",
        "a",
        &[
            ("package.json", r#"{"workspaces": ["a"]}"#),
            ("a/package.json", r#"{"dependencies": {"express": "4", "koa": "1"}}"#),
            (
                "package-lock.json",
                r#"{"packages": {"": {}, "a": {"dependencies": {"express": "4"}},
                        "node_modules/express": {"version": "4.1.0"},
                        "a/node_modules/koa": {"version": "1.0.0"}}}"#,
            ),
        ],
        Pass,
        "",
    ),
    (
        "a lock above that nothing ties to the folder",
        "a",
        &[("package.json", "{}"), ("package-lock.json", NPM), ("a/package.json", NODE)],
        Unknown,
        "above",
    ),
    ("of Bun", "", &[("package.json", NODE), ("bun.lockb", "")], Unknown, "Bun"),
];

#[test]
fn what_npm_would_refuse_fails() {
    check(WHAT_NPM_WOULD_REFUSE_FAILS);
}
