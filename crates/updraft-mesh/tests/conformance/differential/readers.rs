//! Three readings of the bytes of a connection.

use std::process::Stdio;

use serde::Deserialize;

use super::Fate;
use crate::support::message::{Flaw, Message};
use crate::support::program;

/// Method and target, and the body.
pub(super) type Gist = (String, Vec<u8>);

/// By the strict reader: whole requests, and what is wrong with the rest.
pub(super) fn strict(mut bytes: &[u8]) -> Vec<Result<Message, String>> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        match Message::request(bytes) {
            Ok((message, used)) => {
                messages.push(Ok(message));
                bytes = &bytes[used..];
            }
            Err(Flaw::Incomplete) => break,
            Err(Flaw::Wrong(what)) => {
                messages.push(Err(format!("{what}: {}", bytes.escape_ascii())));
                break;
            }
        }
    }
    messages
}

/// As old servers read: lines may end with LF alone, names may have spaces, the last length
/// counts, any word with `chunked` in it is one, and what is no number is 0.
pub(super) fn lenient(mut bytes: &[u8]) -> Vec<Gist> {
    let mut messages = Vec::new();
    while let Some((message, used)) = lenient_one(bytes) {
        messages.push(message);
        bytes = &bytes[used..];
    }
    messages
}

fn lenient_one(bytes: &[u8]) -> Option<(Gist, usize)> {
    let (mut at, mut start) = (0, None);
    let (mut length, mut chunked) = (0, false);
    loop {
        let (line, after) = lenient_line(bytes, at)?;
        at = after;
        if start.is_none() {
            if !line.is_empty() {
                start = Some(line);
            }
            continue;
        }
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.trim().to_ascii_lowercase().replace('_', "-").as_str() {
            "content-length" => {
                let digits: String = value.chars().filter(char::is_ascii_digit).collect();
                length = digits.parse().unwrap_or(0);
            }
            "transfer-encoding" => chunked |= value.to_ascii_lowercase().contains("chunked"),
            _ => {}
        }
    }
    let start = start?;
    let mut words = start.split_whitespace();
    let name = format!("{} {}", words.next()?, words.next().unwrap_or("/"));
    if !chunked {
        let body = bytes.get(at..at + length)?;
        return Some(((name, body.to_vec()), at + length));
    }
    let mut body = Vec::new();
    loop {
        let (size, after) = lenient_line(bytes, at)?;
        let digits: String = size.trim().chars().take_while(char::is_ascii_hexdigit).collect();
        let size = usize::from_str_radix(&digits, 16).unwrap_or(0);
        at = after;
        if size == 0 {
            break;
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        (_, at) = lenient_line(bytes, at + size)?;
    }
    loop {
        let (line, after) = lenient_line(bytes, at)?;
        at = after;
        if line.is_empty() {
            return Some(((name, body), at));
        }
    }
}

fn lenient_line(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let text = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
    Some((String::from_utf8_lossy(text).into_owned(), at + end + 1))
}

#[derive(Deserialize)]
struct Reading {
    line: String,
    body: String,
}

/// By Python's `http.server`, for each entry.
pub(super) async fn python(fates: &[Fate]) -> Vec<Vec<Gist>> {
    let folder = tempfile::tempdir().unwrap();
    let (input, script) = (folder.path().join("bytes.json"), folder.path().join("read.py"));
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let all: Vec<Vec<String>> =
        fates.iter().map(|fate| fate.forwarded.iter().map(hex).collect()).collect();
    std::fs::write(&input, serde_json::to_vec(&all).unwrap()).unwrap();
    std::fs::write(&script, include_str!("read.py")).unwrap();
    let mut python = program::command("python3", "python3");
    python.arg(&script).arg(&input).stdout(Stdio::piped());
    let output = program::run(python, std::time::Duration::from_secs(30)).await;
    assert!(output.status.success(), "{}", program::said(&output));
    let readings: Vec<Vec<Reading>> = serde_json::from_slice(&output.stdout).unwrap();
    let gist = |it: Reading| {
        let byte = |at| u8::from_str_radix(&it.body[at..at + 2], 16).unwrap();
        (it.line.clone(), (0..it.body.len()).step_by(2).map(byte).collect())
    };
    readings.into_iter().map(|entry| entry.into_iter().map(gist).collect()).collect()
}
