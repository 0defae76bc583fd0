//! What `init` proposes for folders as people have them. Each proposal must be a
//! manifest that the parser accepts.

use std::fmt::Write as _;
use std::fs;

use tempfile::TempDir;
use updraft_system::parse_manifest;

use super::{MANIFEST, Proposal, WriteError, propose, write};

/// A folder called `shop` with these files.
fn folder(files: &[(&str, &str)]) -> (TempDir, std::path::PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("shop");
    fs::create_dir(&root).unwrap();
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    (temp, root)
}

fn proposed(files: &[(&str, &str)]) -> Proposal {
    let (_temp, root) = folder(files);
    propose(&root).unwrap_or_else(|error| panic!("{error:#}"))
}

type Case = (&'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    (
        "a Procfile alone",
        &[(
            "Procfile",
            "web: python3 server.py --port $PORT\nworker: python3 work.py\nrelease: ./migrate\n",
        )],
    ),
    (
        "a Procfile beside a package, with servers from compose",
        &[
            ("Procfile", "web: gunicorn 'app:make()'\n"),
            ("pyproject.toml", "[project]\nname = \"Web_Shop\"\ndependencies = [\"gunicorn\"]\n"),
            (
                "docker-compose.yml",
                "services:\n  db:\n    image: docker.io/library/postgres:16-alpine\n  cache:\n    image: redis:7.2.4\n  web:\n    build: .\n    depends_on: [db]\n  mq:\n    image: rabbitmq:3-management\n",
            ),
        ],
    ),
    (
        "a compose file with anchors and each form of a key",
        &[
            (
                "compose.yaml",
                "x-base: &base\n  environment:\n    LOG_LEVEL: debug\n    SECRET_KEY: hunter2\nservices:\n  db:\n    image: postgres:16\n    volumes: [data:/var]\n  events:\n    image: nats:2.10-alpine\n    command: [\"-js\"]\n  search:\n    image: opensearch:2\n  front_end:\n    build: ./front\n    depends_on:\n      api:\n        condition: service_healthy\n    ports: [\"80:3000\"]\n  api:\n    <<: *base\n    build: { context: api, dockerfile: prod.Dockerfile }\n    depends_on: [db, events, search]\n  jobs:\n    build: { context: ./api }\n    command: [\"python\", \"-m\", \"jobs\", \"it's\"]\n    environment: [\"DATABASE_URL=postgres://u:p@db/x\"]\n    depends_on: [db]\n  outside:\n    build: ../other\n  silent:\n    build: silent\nvolumes:\n  data:\n",
            ),
            (
                "front/package.json",
                "{\"name\":\"@shop/front\",\"scripts\":{\"start\":\"next start\",\"build\":\"next build\"},\"dependencies\":{\"next\":\"15\"}}",
            ),
            ("front/package-lock.json", "{}"),
            (
                "api/prod.Dockerfile",
                "FROM python:3 AS build\nRUN true\nFROM python:3\nCMD [\"python\", \"-m\", \"api\"]\n",
            ),
            ("silent/Dockerfile", "FROM scratch\n"),
        ],
    ),
    (
        "a Cargo package",
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"shop-api\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
            ),
            ("src/main.rs", "fn main() {}\n"),
        ],
    ),
    (
        "a Cargo workspace with globs",
        &[
            (
                "Cargo.toml",
                "[workspace]\nmembers = [\"crates/*\", \"deep/er/and/deeper\", \"xtask\"]\nexclude = [\"crates/old\"]\n",
            ),
            (
                "crates/orders/Cargo.toml",
                "[package]\nname = \"orders\"\ndefault-run = \"serve\"\n[[bin]]\nname = \"serve\"\npath = \"src/serve.rs\"\n[[bin]]\nname = \"work_hard\"\npath = \"src/work.rs\"\n[[bin]]\nname = \"build\"\npath = \"src/build.rs\"\n",
            ),
            ("crates/orders/src/lib.rs", ""),
            ("crates/tools/Cargo.toml", "[package]\nname = \"tools\"\n"),
            ("crates/tools/src/bin/import.rs", "fn main() {}\n"),
            ("crates/tools/src/bin/export/main.rs", "fn main() {}\n"),
            ("crates/library/Cargo.toml", "[package]\nname = \"library\"\n"),
            ("crates/library/src/lib.rs", ""),
            ("crates/old/README", ""),
            ("deep/er/and/deeper/Cargo.toml", "[package]\nname = \"updraft-deep\"\n"),
            ("deep/er/and/deeper/src/main.rs", "fn main() {}\n"),
            ("xtask/Cargo.toml", "[package]\nname = \"xtask\"\n"),
            ("xtask/src/main.rs", "fn main() {}\n"),
        ],
    ),
    (
        "folders in three languages, and what is ignored",
        &[
            (".gitignore", "generated\n"),
            ("compose.yml", "services:\n  store:\n    image: redis\n"),
            ("web/package.json", "{\"scripts\":{\"start\":\"node \\\"dist/my server.js\\\"\"}}"),
            (
                "services/pricing/pyproject.toml",
                "[project]\nname = \"pricing\"\nscripts = { pricing = \"pricing:main\", admin = \"pricing:admin\" }\n",
            ),
            ("services/pricing/uv.lock", ""),
            ("services/mail/pyproject.toml", "[project]\nname = \"mail\"\n"),
            ("services/mail/src/mail/__main__.py", ""),
            ("services/web/Cargo.toml", "[package]\nname = \"web\"\n"),
            ("services/web/src/main.rs", "fn main() {}\n"),
            ("services/quiet/pyproject.toml", "[tool.black]\nline-length = 99\n"),
            ("web/node_modules/x/package.json", "{\"scripts\":{\"start\":\"no\"}}"),
            ("generated/package.json", "{\"scripts\":{\"start\":\"no\"}}"),
            ("tests/app/package.json", "{\"scripts\":{\"start\":\"no\"}}"),
        ],
    ),
    (
        "servers alone",
        &[("compose.yaml", "services:\n  db: { image: \"bitnami/postgresql:latest\" }\n")],
    ),
    (
        "package managers",
        &[
            ("a/package.json", "{\"scripts\":{\"start\":\"x\"},\"dependencies\":{\"y\":\"1\"}}"),
            ("a/pnpm-lock.yaml", ""),
            ("b/package.json", "{\"scripts\":{\"start\":\"x\"},\"devDependencies\":{\"y\":\"1\"}}"),
            ("b/yarn.lock", ""),
            ("c/package.json", "{\"scripts\":{\"start\":\"x\", \"build\":\"y\"}}"),
            (
                "d/pyproject.toml",
                "[tool.poetry]\nname = \"d\"\n[tool.poetry.scripts]\ngo = \"d:go\"\n",
            ),
            ("e/pyproject.toml", "[project]\nname = \"e\"\ndependencies = [\"django\"]\n"),
            ("e/manage.py", ""),
            ("f/pyproject.toml", "[project]\nname = \"f\"\n"),
            ("f/app.py", ""),
        ],
    ),
];

#[test]
fn each_folder_gives_a_sound_manifest() {
    let mut all = String::new();
    for (title, files) in CASES {
        let proposal = proposed(files);
        if let Err(problems) = parse_manifest(&proposal.text) {
            panic!("{title}: {problems:#?}\n{}", proposal.text);
        }
        writeln!(all, "######## {title}\nfound: {}\n", proposal.found.join(", ")).unwrap();
        all += &proposal.text;
        all += "\n";
    }
    insta::assert_snapshot!(all);
}

#[test]
fn the_values_of_an_environment_are_not_copied() {
    for (_, files) in CASES {
        let text = proposed(files).text;
        assert!(!text.contains("hunter2") && !text.contains("u:p@db"), "{text}");
    }
}

#[test]
fn a_manifest_is_never_overwritten() {
    let (_temp, root) = folder(&[("Procfile", "web: serve\n")]);
    let proposal = propose(&root).unwrap();
    let path = write(&root, &proposal).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), proposal.text);
    let other = Proposal { text: "other".to_owned(), found: Vec::new() };
    let refused = write(&root, &other).unwrap_err();
    assert!(matches!(&refused, WriteError::Exists(at) if *at == root.join(MANIFEST)));
    assert_eq!(fs::read_to_string(&path).unwrap(), proposal.text);
    let nowhere = write(&root.join("missing"), &other).unwrap_err();
    assert!(matches!(nowhere, WriteError::Io { .. }));
}

#[test]
fn what_cannot_be_understood_is_an_error_that_names_the_file() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "found nothing in"),
        (&[("Procfile", "web server\nMy_Worker: x\n")], "Procfile has mistakes: line 1: this line"),
        (&[("compose.yaml", "services: [")], "compose.yaml"),
        (&[("Cargo.toml", "[package")], "Cargo.toml"),
        (&[("package.json", "{")], "package.json"),
        (&[("pyproject.toml", "=")], "pyproject.toml"),
    ];
    for (files, expected) in cases {
        let (_temp, root) = folder(files);
        let error = format!("{:#}", propose(&root).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}
