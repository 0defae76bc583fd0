//! The service as its users meet it: the built binary.

#[cfg(test)]
use std::process::{Command, Output};

#[cfg(test)]
fn notes(db_url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notes"));
    command.args(arguments).env_clear().env("DB_URL", db_url).output().unwrap()
}

#[test]
fn what_is_written_is_kept_and_a_blank_note_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite://{}", folder.path().join("notes.db").display());
    assert!(notes(&db, &["migrate"]).status.success());

    let write = |body: &str| notes(&db, &["call", "POST", "/notes", "--json", body]);
    assert!(write(r#"{ "body": "buy milk" }"#).status.success());
    assert_eq!(write(r#"{ "body": " " }"#).status.code(), Some(4));

    let list = notes(&db, &["call", "/notes"]).stdout;
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list[0]["body"], "buy milk");
    assert_eq!(list[1], serde_json::Value::Null);
}

#[test]
fn the_committed_contract_is_that_of_this_release() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let check = notes("", &["contract", "check", "--exact", file]);
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success(), "{said}write it anew: notes contract print > openapi.json");
}
