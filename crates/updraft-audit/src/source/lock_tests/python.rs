//! What uv, Poetry and pip leave.

use super::*;

const PROJECT: &str = "[project]\nname = 'shop'\ndependencies = ['Flask[async]>=3,<4', 'typing_extensions; python_version < \"3.9\"']\n";
const UV: &str = "version = 1\n[[package]]\nname = 'flask'\nversion = '3.1.0'\n[[package]]\nname = 'typing-extensions'\nversion = '4.1.0'\n[[package]]\nname = 'shop'\nversion = '0.1.0'\n";
const POETRY: &str =
    "[tool.poetry]\nname = 'shop'\n[tool.poetry.dependencies]\npython = '^3.11'\nFlask = '^3.0'\n";

const WHAT_UV_AND_POETRY_WOULD_REFUSE_FAILS: &[Case] = &[
    ("uv", "", &[("pyproject.toml", PROJECT), ("uv.lock", UV)], Pass, "uv.lock holds"),
    ("poetry", "", &[("pyproject.toml", POETRY), ("poetry.lock", UV)], Pass, ""),
    ("no lock", "", &[("pyproject.toml", PROJECT)], Fail, "no lockfile"),
    ("no dependencies", "", &[("pyproject.toml", "[project]\nname = 'a'\n")], Pass, ""),
    (
        "only settings",
        "",
        &[("pyproject.toml", "[tool.ruff]\n"), ("a.py", "import os\n")],
        NotApplicable,
        "",
    ),
    (
        "added",
        "",
        &[("pyproject.toml", "[project]\nname='shop'\ndependencies=['httpx']\n"), ("uv.lock", UV)],
        Fail,
        "`httpx`",
    ),
    (
        "added for some platforms",
        "",
        &[
            (
                "pyproject.toml",
                "[project]\nname='shop'\ndependencies=['httpx; sys_platform == \"win32\"']\n",
            ),
            ("uv.lock", UV),
        ],
        Unknown,
        "`httpx`",
    ),
    (
        "raised",
        "",
        &[
            ("pyproject.toml", "[project]\nname='shop'\ndependencies=['flask>=4']\n"),
            ("uv.lock", UV),
        ],
        Fail,
        "`flask` that is `>=4`",
    ),
    (
        "made by a program",
        "",
        &[("pyproject.toml", "[project]\nname='a'\ndynamic=['dependencies']\n")],
        Unknown,
        "",
    ),
    (
        "a workspace of uv",
        "a",
        &[
            ("pyproject.toml", "[tool.uv.workspace]\nmembers = ['a']\n"),
            ("uv.lock", UV),
            ("a/pyproject.toml", PROJECT),
        ],
        Pass,
        "",
    ),
];

#[test]
fn what_uv_and_poetry_would_refuse_fails() {
    check(WHAT_UV_AND_POETRY_WOULD_REFUSE_FAILS);
}

const A_LINE_THAT_IS_NOT_ONE_VERSION_IS_A_WARNING: &[Case] = &[
    ("pinned", "", &[("requirements.txt", "flask==3.1.0\nb===1\n# c\n")], Pass, "pinned"),
    ("not pinned", "", &[("requirements.txt", "flask>=3\nb==1.0\n")], Warn, "`flask`"),
    ("a row", "", &[("requirements.txt", "flask==3.*\n")], Warn, "`flask`"),
    ("checksums", "", &[("requirements.txt", "flask>=3 \\\n    --hash=sha256:ab\n")], Pass, ""),
    (
        "includes and constraints",
        "",
        &[
            ("requirements.txt", "-r more/base.txt\n-c limits.txt\n--index-url=https://a/b\nb\n"),
            ("more/base.txt", "Some_Name\n"),
            ("limits.txt", "some.name==1.0\nb==2\n"),
        ],
        Pass,
        "",
    ),
    ("includes itself", "", &[("requirements.txt", "-r requirements.txt\n")], Unknown, ""),
    ("includes nothing", "", &[("requirements.txt", "-r gone.txt\n")], Unknown, "gone.txt"),
    (
        "a commit and a branch",
        "",
        &[(
            "requirements.txt",
            "a @ git+https://h/a@0123456789012345678901234567890123456789\nb @ git+https://h/b@main\n./c\n",
        )],
        Warn,
        "`b`",
    ),
    (
        "the list of a project",
        "",
        &[("pyproject.toml", PROJECT), ("requirements.txt", "flask==3.1.0\n")],
        Pass,
        "",
    ),
    (
        "a list that lacks something of the project",
        "",
        &[("pyproject.toml", PROJECT), ("requirements.txt", "a==3.1.0\n")],
        Unknown,
        "`flask`",
    ),
];

#[test]
fn a_line_that_is_not_one_version_is_a_warning() {
    check(A_LINE_THAT_IS_NOT_ONE_VERSION_IS_A_WARNING);
}
