//! The words of the command line that are about the database, by real processes.

use std::io::Write as _;
use std::process::{Output, Stdio};

use crate::support::{Process, command};

struct Fixture {
    url: String,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("db.sqlite3").display());
        Self { url, _folder: folder }
    }

    fn run(&self, words: &[&str], input: &str) -> Output {
        let mut command = command(words[0], &[("DB_URL", &self.url)]);
        let mut child = command.args(&words[1..]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn said(&self, words: &[&str], input: &str) -> (i32, String) {
        let output = self.run(words, input);
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }
}

#[test]
fn migrate_says_what_it_would_do_and_whether_it_has_to() {
    let fixture = Fixture::new();
    let (code, said) = fixture.said(&["migrate", "--check"], "");
    assert_eq!((code, said.lines().next()), (3, Some("behind")), "{said}");
    let (code, plan) = fixture.said(&["migrate", "--plan"], "");
    assert_eq!(code, 0);
    assert!(plan.contains("-- specimen_1\nCREATE TABLE done"), "{plan}");
    assert_eq!(fixture.said(&["migrate", "--check"], "").0, 3, "a plan changes nothing");
    assert_eq!(fixture.said(&["migrate"], "").0, 0);
    assert_eq!(fixture.said(&["migrate", "--check"], ""), (0, "current\n".to_owned()));
    assert_eq!(fixture.said(&["migrate", "--plan"], ""), (0, String::new()));
    assert_eq!(fixture.said(&["migrate", "--plan", "--check"], "").0, 2);
}

#[test]
fn sql_reads_in_three_forms_and_writes_only_when_it_may() {
    let fixture = Fixture::new();
    let insert = "INSERT INTO done VALUES ('a,\"b', 1), ('c', NULL)";
    assert_eq!(fixture.said(&["migrate"], "").0, 0);
    assert_eq!(fixture.said(&["sql", insert], "").0, 1, "it only reads");
    assert_eq!(fixture.said(&["sql", "--write"], insert), (0, "rows: 2\n".to_owned()));
    let select = "SELECT job_id, at FROM done ORDER BY job_id";
    for (form, expected) in [
        (&["sql", select][..], "job_id  at\n------  --\na,\"b    1\nc\n"),
        (
            &["sql", "--json", select],
            "{\"job_id\":\"a,\\\"b\",\"at\":1}\n{\"job_id\":\"c\",\"at\":null}\n",
        ),
        (&["sql", "--csv", select], "job_id,at\r\n\"a,\"\"b\",1\r\nc,\r\n"),
    ] {
        let (code, said) = fixture.said(form, "");
        let ordered = said
            .replace("{\"at\":1,\"job_id\":\"a,\\\"b\"}", "{\"job_id\":\"a,\\\"b\",\"at\":1}")
            .replace("{\"at\":null,\"job_id\":\"c\"}", "{\"job_id\":\"c\",\"at\":null}");
        assert_eq!((code, ordered.as_str()), (0, expected), "{form:?}");
    }
    let output = fixture.run(&["sql", "--csv", "--limit", "1", select], "");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "job_id,at\r\n\"a,\"\"b\",1\r\n");
    assert!(String::from_utf8(output.stderr).unwrap().contains("--limit"));
    let deleted =
        fixture.said(&["sql", "--write", "--json", "DELETE FROM done RETURNING job_id"], "");
    assert_eq!(deleted.1.lines().count(), 2);
    assert_eq!(fixture.said(&["sql", "--limit", "0", select], "").0, 2);
}

#[test]
fn a_statement_that_is_too_long_is_not_run_in_part() {
    let fixture = Fixture::new();
    assert_eq!(fixture.said(&["migrate"], "").0, 0);
    let insert = "INSERT INTO done VALUES ('a', 1), ('b', 2)";
    assert_eq!(fixture.said(&["sql", "--write"], insert).0, 0);
    let deletes = format!("DELETE FROM done {} WHERE job_id = 'a'", " ".repeat(1 << 20));
    let output = fixture.run(&["sql", "--write"], &deletes);
    assert_eq!(output.status.code(), Some(1));
    let (_, left) = fixture.said(&["sql", "--csv", "SELECT count(*) FROM done"], "");
    assert!(left.ends_with("2\r\n"), "{left}");
}

#[test]
fn one_request_does_not_wait_for_the_schema() {
    let fixture = Fixture::new();
    let output = fixture.run(&["call", "/"], "");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the schema is behind: run `migrate` first"), "{said}");
}

#[test]
fn a_process_waits_for_its_schema_and_goes_on_by_itself() {
    let fixture = Fixture::new();
    let mut web =
        Process::start("web", &[("PORT", "0"), ("DRAIN_DELAY", "0s"), ("DB_URL", &fixture.url)]);
    let behind = web.wait_for("the schema is behind");
    assert!(behind["missing"].as_str().unwrap().contains("specimen_1"), "{behind}");
    assert!(!web.has_said("ready"));
    assert_eq!(fixture.said(&["migrate"], "").0, 0);
    web.wait_for("ready");
    web.signal(rustix::process::Signal::TERM);
    assert!(web.end().0.success());
}

#[test]
fn a_process_starts_while_its_server_is_away() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u:canary@{}/db", listener.local_addr().unwrap());
    drop(listener);
    let mut web = Process::start("web", &[("PORT", "0"), ("DRAIN_DELAY", "0s"), ("DB_URL", &url)]);
    web.wait_for("the schema is not known yet");
    web.wait_for("ready");
    web.signal(rustix::process::Signal::TERM);
    let (status, lines) = web.end();
    assert!(status.success());
    assert!(!lines.iter().any(|line| line.to_string().contains("canary")));
}
