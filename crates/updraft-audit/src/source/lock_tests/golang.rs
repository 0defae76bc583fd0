//! What Go leaves.

use super::*;

const GO: &str = "module shop\n\ngo 1.22\n\nrequire github.com/a/b v1.2.0\n\nrequire (\n\tgithub.com/c/d/v2 v2.0.0\n\tgithub.com/e/f v0.1.0 // indirect\n)\n";
const GO_SUM: &str = "github.com/a/b v1.2.0 h1:x=\ngithub.com/a/b v1.2.0/go.mod h1:x=\ngithub.com/c/d/v2 v2.0.0/go.mod h1:x=\n";

const WHAT_GO_WOULD_REFUSE_FAILS: &[Case] = &[
    ("whole", "", &[("go.mod", GO), ("go.sum", GO_SUM)], Pass, "3 dependencies"),
    ("no sums", "", &[("go.mod", GO)], Fail, "no go.sum"),
    ("nothing", "", &[("go.mod", "module shop\n\ngo 1.22\n")], Pass, "no dependencies"),
    (
        "raised",
        "",
        &[("go.mod", "module a\nrequire github.com/a/b v1.3.0\n"), ("go.sum", GO_SUM)],
        Fail,
        "v1.3.0",
    ),
    (
        "replaced",
        "",
        &[
            ("go.mod", "module a\nrequire github.com/a/x v1.3.0\nreplace github.com/a/x => ../x\n"),
            ("go.sum", ""),
        ],
        Pass,
        "",
    ),
    (
        "the sums of a workspace",
        "a",
        &[("a/go.mod", GO), ("go.work.sum", GO_SUM), ("go.work", "use ./a\n")],
        Pass,
        "",
    ),
    (
        "vendored",
        "",
        &[
            ("go.mod", "module a\nrequire github.com/a/b v1.2.0\n"),
            ("vendor/modules.txt", "# github.com/a/b v1.2.0\n## explicit\n"),
        ],
        Pass,
        "",
    ),
];

#[test]
fn what_go_would_refuse_fails() {
    check(WHAT_GO_WOULD_REFUSE_FAILS);
}
