//! What Yarn and pnpm leave.

use super::*;

const YARN: &str = "# yarn lockfile v1\n\n\"@types/node@^20.1.0\", \"@types/node@^20.2.0\":\n  version \"20.3.0\"\n\nexpress@^4.18.0:\n  version \"4.19.2\"\n\njest@29.x:\n  version \"29.7.0\"\n";
const BERRY: &str = "__metadata:\n  version: 8\n\n\"express@npm:^4.17.0, express@npm:^4.18.0\":\n  version: 4.19.2\n\n\"jest@npm:29.x\":\n  version: 29.7.0\n\n\"shop@workspace:.\":\n  version: 0.0.0-use.local\n";
const PNPM: &str = "lockfileVersion: '9.0'\n\nsettings:\n  autoInstallPeers: true\n\nimporters:\n\n  .:\n    dependencies:\n      express:\n        specifier: ^4.18.0\n        version: 4.19.2\n    devDependencies:\n      jest:\n        specifier: 29.x\n        version: 29.7.0\n\n  services/a:\n    dependencies:\n      '@scope/koa':\n        specifier: ^2.0.0\n        version: 2.1.0\n\npackages:\n\n  express@4.19.2:\n    resolution: {integrity: sha512-x}\n";

const WHAT_YARN_AND_PNPM_WOULD_REFUSE_FAILS: &[Case] = &[
    ("Yarn 1", "", &[("package.json", NODE), ("yarn.lock", YARN)], Pass, ""),
    (
        "a scope, the second of two requirements",
        "",
        &[("package.json", r#"{"dependencies": {"@types/node": "^20.2.0"}}"#), ("yarn.lock", YARN)],
        Pass,
        "",
    ),
    (
        "a long key",
        "",
        &[
            ("package.json", r#"{"dependencies": {"koa": "2.x"}}"#),
            ("yarn.lock", "? \"koa@npm:1.x, koa@npm:2.x\"\n:\n  version: 2.1.0\n"),
        ],
        Pass,
        "",
    ),
    ("Yarn 4", "", &[("package.json", NODE), ("yarn.lock", BERRY)], Pass, ""),
    (
        "raised",
        "",
        &[("package.json", r#"{"dependencies": {"express": "^5.0.0"}}"#), ("yarn.lock", BERRY)],
        Fail,
        "`^5.0.0`",
    ),
    (
        "raised, where something replaces requirements",
        "",
        &[
            (
                "package.json",
                r#"{"dependencies": {"express": "^5.0.0"}, "resolutions": {"express": "4"}}"#,
            ),
            ("yarn.lock", BERRY),
        ],
        Unknown,
        "replaces",
    ),
    (
        "added",
        "",
        &[("package.json", r#"{"dependencies": {"koa": "2"}}"#), ("yarn.lock", YARN)],
        Fail,
        "`koa`",
    ),
    (
        "a neighbour in the workspace",
        "",
        &[("package.json", r#"{"dependencies": {"b": "workspace:*"}}"#), ("yarn.lock", YARN)],
        Pass,
        "",
    ),
    ("pnpm", "", &[("package.json", NODE), ("pnpm-lock.yaml", PNPM)], Pass, ""),
    (
        "pnpm, a member",
        "services/a",
        &[
            ("pnpm-workspace.yaml", ""),
            ("pnpm-lock.yaml", PNPM),
            ("services/a/package.json", r#"{"dependencies": {"@scope/koa": "^2.0.0"}}"#),
        ],
        Pass,
        "",
    ),
    (
        "pnpm, a member that is not locked",
        "services/b",
        &[("pnpm-workspace.yaml", ""), ("pnpm-lock.yaml", PNPM), ("services/b/package.json", NODE)],
        Unknown,
        "does not name",
    ),
    (
        "pnpm, raised",
        "",
        &[
            ("package.json", r#"{"dependencies": {"express": "^4.19.0"}}"#),
            ("pnpm-lock.yaml", PNPM),
        ],
        Fail,
        "`^4.19.0`",
    ),
    (
        "pnpm, added",
        "",
        &[("package.json", r#"{"dependencies": {"koa": "1"}}"#), ("pnpm-lock.yaml", PNPM)],
        Fail,
        "`koa`",
    ),
    (
        "pnpm 6, one folder",
        "",
        &[
            ("package.json", r#"{"dependencies": {"koa": "1"}}"#),
            (
                "pnpm-lock.yaml",
                "lockfileVersion: 5.4\n\nspecifiers:\n  koa: '1'\n\ndependencies:\n  koa: 1.0.0\n",
            ),
        ],
        Pass,
        "",
    ),
];

#[test]
fn what_yarn_and_pnpm_would_refuse_fails() {
    check(WHAT_YARN_AND_PNPM_WOULD_REFUSE_FAILS);
}
