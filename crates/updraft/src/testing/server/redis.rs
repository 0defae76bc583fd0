//! Redis: a numbered database is a part of it.

use std::ffi::OsString;
use std::io::Error;

use super::ask::Lines;
use super::folder::{folder, write_private};
use super::site::Site;
use super::slot::MOST;
use super::{Kind, ServerError, programs};

/// Writes the configuration. The log of changes is with the system before a change is
/// acknowledged, so data outlives the death of the server.
pub(super) fn prepare(site: &Site) -> Result<(), ServerError> {
    let data = site.data();
    folder(&data, 0o700)?;
    let text = format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {password}\ndatabases {databases}\nsave \"\"\n\
         appendonly yes\nappendfsync no\ndaemonize no\ndir \"{data}\"\n",
        port = site.port,
        password = site.password,
        databases = MOST + 1,
        data = data.display(),
    );
    write_private(&site.folder.join("redis.conf"), &text, site.user())
}

pub(super) fn command(site: &Site) -> Result<Vec<OsString>, ServerError> {
    let program = programs::find(Kind::Redis, &["redis-server", "valkey-server"])?;
    Ok(vec![program.into(), site.folder.join("redis.conf").into()])
}

pub(super) fn is_ready(site: &Site) -> bool {
    let ping = || {
        let mut lines = connect(site)?;
        ask(&mut lines, &["PING"])
    };
    ping().is_ok_and(|answer| answer == "+PONG")
}

pub(super) fn empty(site: &Site, number: u32) -> Result<(), ServerError> {
    let number = number.to_string();
    let flush = || {
        let mut lines = connect(site)?;
        let chosen = ask(&mut lines, &["SELECT", &number])?;
        if chosen != "+OK" {
            return Ok(chosen);
        }
        ask(&mut lines, &["FLUSHDB"])
    };
    match flush().map_err(ServerError::connection(Kind::Redis))?.as_str() {
        "+OK" => Ok(()),
        said => Err(ServerError::Refused {
            kind: Kind::Redis,
            action: "empty a database",
            said: said.to_owned(),
        }),
    }
}

fn connect(site: &Site) -> Result<Lines, Error> {
    let mut lines = Lines::connect(site.port)?;
    match ask(&mut lines, &["AUTH", &site.password])?.as_str() {
        "+OK" => Ok(lines),
        said => Err(Error::other(said.to_owned())),
    }
}

/// One command whose answer is one line.
fn ask(lines: &mut Lines, words: &[&str]) -> Result<String, Error> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    lines.say(&text)?;
    lines.line()
}
