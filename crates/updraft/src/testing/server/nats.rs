//! NATS with JetStream: an account is a part of it, with subjects and streams of its own.

use std::ffi::OsString;
use std::io::{Error, ErrorKind};

use serde_json::{Value, json};

use super::ask::Lines;
use super::folder::{folder, write_private};
use super::site::Site;
use super::slot::MOST;
use super::{Kind, ServerError, programs};

/// Where answers are sent.
const INBOX: &str = "_INBOX.updraft";

/// The user of an account.
pub(super) fn user(number: u32) -> String {
    format!("test_{number}")
}

/// Writes the configuration: all accounts are there from the start.
pub(super) fn prepare(site: &Site) -> Result<(), ServerError> {
    let data = site.data();
    folder(&data, 0o700)?;
    let mut text = format!(
        "listen: \"127.0.0.1:{}\"\n\
         jetstream {{ store_dir: \"{}\", max_memory_store: 256MB, max_file_store: 4GB }}\n\
         system_account: SYS\n\
         accounts {{\n  SYS {{ users: [{{ user: system, password: \"{}\" }}] }}\n",
        site.port,
        data.display(),
        site.password,
    );
    for number in 0..=MOST {
        let user = user(number);
        text.push_str(&format!(
            "  {user} {{ jetstream: enabled, users: [{{ user: {user}, password: \"{}\" }}] }}\n",
            site.password,
        ));
    }
    text.push_str("}\n");
    write_private(&site.folder.join("nats.conf"), &text, site.user())
}

pub(super) fn command(site: &Site) -> Result<Vec<OsString>, ServerError> {
    let program = programs::find(Kind::Nats, &["nats-server"])?;
    Ok(vec![program.into(), "-c".into(), site.folder.join("nats.conf").into()])
}

/// It is ready when JetStream answers.
pub(super) fn is_ready(site: &Site) -> bool {
    let ask = || Account::connect(site, 0)?.ask("$JS.API.INFO", &json!({}));
    ask().is_ok_and(|answer: Value| answer.get("error").is_none())
}

/// Deletes all streams; key-value buckets and object stores are streams too.
pub(super) fn empty(site: &Site, number: u32) -> Result<(), ServerError> {
    let action = "empty an account";
    let refused = |said: String| ServerError::Refused { kind: Kind::Nats, action, said };
    let connection = || ServerError::connection(Kind::Nats);
    let mut account = Account::connect(site, number).map_err(connection())?;
    loop {
        let names = account.ask("$JS.API.STREAM.NAMES", &json!({})).map_err(connection())?;
        if let Some(error) = names.get("error") {
            return Err(refused(error.to_string()));
        }
        let names: Vec<String> = names
            .get("streams")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default();
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            let delete = format!("$JS.API.STREAM.DELETE.{name}");
            let answer = account.ask(&delete, &json!({})).map_err(connection())?;
            if let Some(error) = answer.get("error") {
                return Err(refused(error.to_string()));
            }
        }
    }
}

/// A connection within one account.
struct Account {
    lines: Lines,
}

impl Account {
    fn connect(site: &Site, number: u32) -> Result<Self, Error> {
        let mut lines = Lines::connect(site.port)?;
        lines.line()?; // INFO
        let options = json!({
            "user": user(number), "pass": site.password,
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true,
            "lang": "rust", "version": "1", "protocol": 1,
        });
        lines.say(&format!("CONNECT {options}\r\nSUB {INBOX} 1\r\nPING\r\n"))?;
        let mut account = Self { lines };
        loop {
            let line = account.lines.line()?;
            match line.split(' ').next() {
                Some("PONG") => return Ok(account),
                Some("-ERR") => return Err(Error::new(ErrorKind::PermissionDenied, line)),
                _ => account.meanwhile(&line)?,
            }
        }
    }

    fn ask(&mut self, subject: &str, question: &Value) -> Result<Value, Error> {
        let question = question.to_string();
        self.lines.say(&format!("PUB {subject} {INBOX} {}\r\n{question}\r\n", question.len()))?;
        loop {
            let line = self.lines.line()?;
            let mut words = line.split(' ');
            match words.next() {
                Some("MSG") => {
                    let bytes = words.next_back().and_then(|word| word.parse().ok());
                    let body = self.lines.body(bytes.ok_or(ErrorKind::InvalidData)?)?;
                    return Ok(serde_json::from_slice(&body)?);
                }
                // Nobody listens: a status without a body, after headers.
                Some("HMSG") => return Err(Error::other("JetStream does not answer")),
                Some("-ERR") => return Err(Error::other(line)),
                _ => self.meanwhile(&line)?,
            }
        }
    }

    /// What the server says at any time.
    fn meanwhile(&mut self, line: &str) -> Result<(), Error> {
        if line == "PING" { self.lines.say("PONG\r\n") } else { Ok(()) }
    }
}
