//! The few words of HTTP/1.1 that a test needs: one request, one answer, one connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// An answer that takes longer is a hang.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A larger answer is a mistake of a test.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// `GET` of an absolute `http://` address.
pub fn get(url: &str) -> Result<Response> {
    send("GET", url, &[], None)
}

/// `POST` of JSON.
pub fn post(url: &str, headers: &[(&str, &str)], body: &Value) -> Result<Response> {
    send("POST", url, headers, Some(body))
}

/// One request.
pub fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Response> {
    exchange(method, url, headers, body).with_context(|| format!("{method} {url}"))
}

fn exchange(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Response> {
    let rest = url.strip_prefix("http://").context("the address is not http://")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let address = authority.to_socket_addrs()?.next().context("the host has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str("content-type: application/json\r\n");
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes())?;
    answer(BufReader::new(stream))
}

fn answer(mut stream: impl BufRead) -> Result<Response> {
    let status_line = line(&mut stream)?;
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("no status line: {status_line:?}"))?;
    let mut headers = Vec::new();
    loop {
        let header = line(&mut stream)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').context("a header without a colon")?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut response = Response { status, headers, body: String::new() };
    let body = if response.header("transfer-encoding") == Some("chunked") {
        chunks(&mut stream)?
    } else {
        whole(&mut stream, response.header("content-length"))?
    };
    response.body = String::from_utf8(body).context("the body is not UTF-8")?;
    Ok(response)
}

fn whole(stream: &mut impl Read, length: Option<&str>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let length: Option<u64> = length.map(str::parse).transpose()?;
    stream.take(length.unwrap_or(BODY_BYTES_MAX)).read_to_end(&mut body)?;
    let cut = length.is_some_and(|length| length != body.len() as u64);
    ensure!(!cut, "the answer was cut after {} bytes", body.len());
    Ok(body)
}

fn chunks(stream: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        ensure!(body.len() as u64 + size <= BODY_BYTES_MAX, "the body is too large");
        body.extend(whole(stream, Some(&size.to_string()))?);
        line(stream)?;
    }
}

fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        bail!("the connection closed before the answer was whole");
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_every_framing_are_read_whole_or_refused() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokmore", Some((200, "ok"))),
            ("HTTP/1.1 404 Not Found\r\n\r\nto the end", Some((404, "to the end"))),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;x=y\r\n, a\r\n0\r\n\r\n",
                Some((200, "ok, a")),
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut", None),
            ("HTTP/1.1 200 OK\r\ncontent-le", None),
            ("", None),
        ] {
            let answer = answer(text.as_bytes()).ok();
            let seen = answer.as_ref().map(|answer| (answer.status, answer.body.as_str()));
            assert_eq!(seen, expected, "{text}");
        }
    }
}
