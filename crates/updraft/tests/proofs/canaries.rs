//! Secrets in every place that may hold one, looked for in all that comes out of each process
//! type and verb.

use std::net::TcpListener;
use std::process::Command;

use rustix::process::Signal;

use crate::support::{Connection, Process, command, get};

/// No value of a variable, nor a word of ours, has it by chance.
const CANARY: &str = "c4n4ry";

/// Every question of the command line.
const VERBS: &[&[&str]] = &[
    &["--help"],
    &["attachments"],
    &["attachments", "--json"],
    &["call", "/"],
    &["call", "/fails"],
    &["config", "check"],
    &["config", "example"],
    &["config", "explain"],
    &["config", "explain", "--json"],
    &["contract", "print"],
    &["health"],
    &["jobs"],
    &["migrate", "--check"],
    &["migrate", "--plan"],
    &["sql", "SELECT 1"],
    &["version"],
    &["version", "--full"],
    &["web"],
    &["worker"],
];

const PAGES: &[&str] =
    &["/", "/health", "/readyz", "/attachments", "/metrics", "/version", "/log-level", "/none"];

/// Variables full of canaries, of a service whose servers are away.
struct Secrets {
    variables: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
}

impl Secrets {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jobs_url");
        let away = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        std::fs::write(&file, format!("redis://u:{CANARY}3@{}/0\n", away())).unwrap();
        let variables = vec![
            ("DB_URL", format!("postgres://{CANARY}0:{CANARY}1@{}/db", away())),
            ("JOBS_URL_FILE", file.display().to_string()),
            ("PORT", "8080".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", away())),
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{CANARY}4")),
            ("LOG_LEVEL", "trace".to_owned()),
        ];
        Self { variables, folder }
    }

    fn with<'a>(&'a self, others: &[(&'static str, &'a str)]) -> Vec<(&'static str, &'a str)> {
        let own = self.variables.iter().map(|(name, value)| (*name, value.as_str()));
        let own = own.filter(|(name, _)| others.iter().all(|(other, _)| name != other));
        own.chain(others.iter().copied()).collect()
    }
}

fn is_clean(what: &str, text: &str) {
    let line = text.lines().find(|line| line.contains(CANARY));
    assert!(line.is_none(), "{what} shows a secret: {}", line.unwrap_or_default());
}

/// Runs verbs that end by themselves, and gives those that said nothing.
fn ask_everything(variables: &[(&str, &str)], verbs: &[&[&str]]) -> Vec<String> {
    let mut silent = Vec::new();
    for words in verbs {
        let output = command(words[0], variables).args(&words[1..]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        is_clean(&words.join(" "), &String::from_utf8_lossy(&text));
        if text.is_empty() {
            silent.push(words.join(" "));
        }
    }
    silent
}

#[test]
fn no_verb_shows_a_secret_of_a_sound_environment() {
    let secrets = Secrets::new();
    let verbs: Vec<_> = VERBS.iter().copied().filter(|words| !is_endless(words)).collect();
    // One that says nothing would show nothing by chance.
    assert_eq!(ask_everything(&secrets.with(&[]), &verbs), ["config check"]);
}

#[test]
fn no_report_shows_a_secret_of_an_environment_that_is_wrong() {
    let secrets = Secrets::new();
    let key = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}5\n-----END PRIVATE KEY-----\n");
    let parameter = format!("postgres://h/db?password={CANARY}6&{CANARY}7={CANARY}8");
    let port = format!("{CANARY}9");
    let no_url = format!("//:{CANARY}@:{CANARY}");
    let unknown = format!("{CANARY}://u:{CANARY}@h");
    for wrong in [
        [("DB_URL", parameter.as_str()), ("TLS_KEY", key.as_str()), ("PORT", port.as_str())],
        [("DB_URL", no_url.as_str()), ("TLS_CERT", key.as_str()), ("ADMIN_PORT", port.as_str())],
        [("DB_URL", unknown.as_str()), ("LOG_LEVEL", no_url.as_str()), ("PORT", port.as_str())],
    ] {
        let variables = secrets.with(&wrong);
        assert!(ask_everything(&variables, VERBS).is_empty());
        let status = command("web", &variables).output().unwrap().status;
        assert_eq!(status.code(), Some(78));
    }
}

/// A process type, which runs until it is told to stop.
fn is_endless(words: &[&str]) -> bool {
    matches!(words[0], "web" | "worker" | "all")
}

#[test]
fn no_process_type_shows_a_secret_in_its_log_its_answers_or_its_admin_pages() {
    let secrets = Secrets::new();
    let others =
        [("PORT", "0"), ("ADMIN_PORT", "0"), ("DRAIN_DELAY", "0s"), ("HEALTH_INTERVAL", "50ms")];
    for kind in ["web", "worker", "all"] {
        let errors = secrets.folder.path().join(kind);
        let service = command(kind, &[]).get_program().to_owned();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "exec \"$0\" \"$1\" 2>\"$2\""]).arg(service).arg(kind).arg(&errors);
        shell.env_clear().envs(secrets.with(&others));
        let mut process = Process::of(shell);
        let admin = process.wait_for("admin listening")["address"].as_str().unwrap().to_owned();
        let main = process.wait_for("listening")["address"].as_str().unwrap().to_owned();
        process.wait_for("ready");
        process.wait_for("an attachment is down");
        for page in PAGES {
            is_clean(page, &get(&admin, page).body);
        }
        if kind != "worker" {
            let header = format!("authorization: Bearer {CANARY}10\r\ncookie: id={CANARY}11\r\n");
            for path in ["/", "/fails", "/panics", "/nowhere"] {
                let mut connection = Connection::open(&main).unwrap();
                let asked =
                    format!("GET {path}?token={CANARY}12 HTTP/1.1\r\nhost: t\r\n{header}\r\n");
                connection.send(&asked).unwrap();
                let answer = connection.answer().unwrap();
                is_clean(path, &format!("{}{}", answer.head, answer.body));
            }
        }
        process.signal(Signal::TERM);
        let (_status, lines) = process.end();
        for line in &lines {
            is_clean(kind, &line.to_string());
        }
        is_clean("standard error", &std::fs::read_to_string(errors).unwrap());
    }
}
