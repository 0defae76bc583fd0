//! Credentials: which entry is meant, what is refused, and that nothing shows a secret.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use super::*;

fn shown(found: &Found) -> String {
    match &found.credential {
        None => "none".to_owned(),
        Some(Credential::Password { user, password }) => {
            format!("{user}:{}", password.expose_secret())
        }
        Some(Credential::Identity(token)) => format!("identity {}", token.expose_secret()),
        Some(Credential::Bearer(token)) => format!("bearer {}", token.expose_secret()),
    }
}

fn entry(text: &str) -> String {
    format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(text))
}

#[tokio::test]
async fn the_entry_that_fits_best_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("auth.json"), folder.path().join("config.json"));
    let text = format!(
        r#"{{"auths":{{
            "https://index.docker.io/v1/":{},
            "r.example":{}, "r.example/team":{}, "r.example/team/app":{},
            "https://old.example/v2/":{},
            "token.example":{{"auth":"{}","identitytoken":"it"}},
            "bearer.example":{{"registrytoken":"rt"}},
            "plain.example":{{"username":"u","password":"p"}},
            "empty.example":{{}},
            "localhost:5000":{}
        }}}}"#,
        entry("hub:1"),
        entry("host:1"),
        entry("team:1"),
        entry("app:a:b"),
        entry("old:1"),
        STANDARD.encode("<token>:"),
        entry("local:1"),
    );
    fs::write(&first, text).unwrap();
    let other = format!(
        r#"{{"auths":{{"r.example":{},"second.example":{}}}}}"#,
        entry("no:1"),
        entry("second:1")
    );
    fs::write(&second, other).unwrap();
    let missing = folder.path().join("missing/auth.json");
    let files = CredentialFiles::new(vec![missing, first, second], None);
    for (host, name, expected) in [
        ("docker.io", "library/a", "hub:1"),
        ("registry-1.docker.io", "library/a", "hub:1"),
        ("r.example", "other", "host:1"),
        ("r.example", "teams", "host:1"),
        ("r.example", "team/x", "team:1"),
        ("r.example", "team/app", "app:a:b"),
        ("old.example", "a", "old:1"),
        ("token.example", "a", "identity it"),
        ("bearer.example", "a", "bearer rt"),
        ("plain.example", "a", "u:p"),
        ("empty.example", "a", "none"),
        ("second.example", "a", "second:1"),
        ("localhost:5000", "a", "local:1"),
        ("localhost:5001", "a", "none"),
        ("evil-r.example", "a", "none"),
    ] {
        let found = files.find(host, name).await.unwrap();
        assert_eq!(shown(&found), expected, "{host}/{name}");
    }
}

#[tokio::test]
async fn a_file_that_is_wrong_is_named_and_its_secrets_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let files = CredentialFiles::new(vec![path.clone()], None);
    for (text, expected) in [
        (r#"{"auths": {"r.example": "CANARY"}}"#.to_owned(), "line 1, column"),
        (r#"{"auths": {"r.example": {"auth": "CANARY!"}}}"#.to_owned(), "is not base64"),
        (format!(r#"{{"auths": {{"r.example": {}}}}}"#, entry("CANARY")), "no colon"),
        ("CANARY".to_owned(), "line 1"),
        (" ".repeat((1 << 20) + 1), "larger than"),
        (r#"{"credsStore": "../CANARY"}"#.replace("CANARY", "x"), "no name of a program"),
        (r#"{"credsStore": "absent"}"#.to_owned(), "not on `PATH`"),
    ] {
        fs::write(&path, text).unwrap();
        let error = files.find("r.example", "a").await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("config.json"), "{text}");
        assert!(!text.contains("CANARY") && !text.contains(&STANDARD.encode("CANARY")), "{text}");
    }
}

#[tokio::test]
async fn programs_are_asked_as_docker_asks_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, script: &str| {
        let path = folder.path().join(format!("docker-credential-{name}"));
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write(
        "good",
        r#"read -r server || true; [ "$1" = get ] && echo "{\"ServerURL\":\"$server\",\"Username\":\"$server\",\"Secret\":\"CANARY\"}""#,
    );
    write(
        "token",
        r#"cat >/dev/null; echo '{"ServerURL":"x","Username":"<token>","Secret":"CANARY"}'"#,
    );
    write("unknown", "cat >/dev/null; echo 'credentials not found in native keychain'; exit 1");
    write("broken", "cat >/dev/null; echo CANARY; exit 1");
    write("nonsense", "cat >/dev/null; echo CANARY");
    write("endless", "exec cat /dev/zero");
    let path = folder.path().join("config.json");
    let mut search = folder.path().as_os_str().to_owned();
    search.push(":/usr/bin:/bin");
    let files = CredentialFiles::new(vec![path.clone()], Some(search));
    for (store, host, expected) in [
        ("good", "r.example", "r.example:CANARY"),
        ("good", "docker.io", "https://index.docker.io/v1/:CANARY"),
        ("token", "r.example", "identity CANARY"),
        ("unknown", "r.example", "entry:1"),
        ("unknown", "other.example", "none"),
        ("broken", "r.example", "fails: run it"),
        ("nonsense", "r.example", "does not answer with JSON"),
        ("endless", "r.example", "more than 65536 bytes"),
        ("broken", "own.example", "own.example:CANARY"),
    ] {
        let text = format!(
            r#"{{"auths":{{"r.example":{}}},"credsStore":"{store}","credHelpers":{{"own.example":"good"}}}}"#,
            entry("entry:1")
        );
        fs::write(&path, text).unwrap();
        match files.find(host, "a").await {
            Ok(found) => {
                assert_eq!(shown(&found), expected, "{store} {host}");
                assert!(!format!("{found:?}").contains("CANARY"), "{found:?}");
            }
            Err(error) => {
                let text = format!("{error} {error:?}");
                assert!(text.contains(expected) && !text.contains("CANARY"), "{text}");
            }
        }
    }
}

#[test]
fn files_are_looked_for_where_other_tools_keep_them() {
    type Row = (&'static [(&'static str, &'static str)], &'static [&'static str]);
    let table: [Row; 5] = [
        (&[], &[]),
        (&[("HOME", "/h")], &["/h/.config/containers/auth.json", "/h/.docker/config.json"]),
        (
            &[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/1"), ("DOCKER_CONFIG", "/d")],
            &[
                "/run/user/1/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/d/config.json",
            ],
        ),
        (
            &[("HOME", "/h"), ("REGISTRY_AUTH_FILE", "/a.json")],
            &["/a.json", "/h/.docker/config.json"],
        ),
        (
            &[("HOME", "/h"), ("REGISTRY_AUTH_FILE", ""), ("XDG_CONFIG_HOME", "/c")],
            &["/c/containers/auth.json", "/h/.docker/config.json"],
        ),
    ];
    for (variables, expected) in table {
        let variable = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(CredentialFiles::of_environment(variable).files, expected, "{variables:?}");
    }
}
