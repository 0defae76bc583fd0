//! What a journey asks for, keeps and compares.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use serde_json::json;

use super::*;

fn ask(method: &str, path: &str, json: Option<&str>) -> Ask {
    Ask { method: method.into(), path: path.into(), json: json.map(str::to_owned) }
}

fn step(method: &str, path: &str) -> Step {
    let (save, matches) = (BTreeMap::new(), BTreeMap::new());
    Step { ask: ask(method, path, None), expect: None, save, matches }
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into() }
}

#[test]
fn an_answer_is_held_against_status_values_and_what_is_to_be_saved() {
    let mut full = step("GET", "/");
    full.expect = Some(200);
    full.matches.insert("/items/0/sku".into(), json!("A1"));
    full.save.insert("id".into(), "/id".into());
    let saved = Saved::new();
    let table = [
        (200, r#"{"id": 7, "items": [{"sku": "A1"}]}"#, Ok(())),
        (201, r#"{"id": 7, "items": [{"sku": "A1"}]}"#, Err("status 201 instead of 200")),
        (
            200,
            r#"{"id": 7, "items": [{"sku": "B2"}]}"#,
            Err("/items/0/sku is \"B2\" instead of \"A1\""),
        ),
        (200, r#"{"id": 7, "items": []}"#, Err("/items/0/sku is missing, it should be \"A1\"")),
        (200, r#"{"items": [{"sku": "A1"}]}"#, Err("there is no /id to be saved as id")),
    ];
    for (status, body, expected) in table {
        let told = judged(&full, &answer(status, body), &saved);
        assert_eq!(told.map(drop), expected.map_err(str::to_owned), "{status} {body}");
    }
    assert!(judged(&full, &answer(200, "ok"), &saved).is_err());
}

#[test]
fn without_an_expected_status_any_below_400_is_right() {
    for (status, right) in [(200, true), (302, true), (399, true), (400, false), (503, false)] {
        let told = judged(&step("GET", "/"), &answer(status, ""), &Saved::new());
        assert_eq!(told.is_ok(), right, "{status}");
    }
}

#[test]
fn what_is_saved_stands_in_paths_encoded_and_in_bodies_with_its_type() {
    let mut saved = Saved::new();
    saved.insert("id".into(), json!(7));
    saved.insert("name".into(), json!("a/b \"{id}\""));
    assert_eq!(saved.path("/carts/{id}?q={name}"), "/carts/7?q=a%2Fb%20%22%7Bid%7D%22");
    assert_eq!(saved.path("/{other}/{id"), "/{other}/{id");
    let body: Value = serde_json::from_str(
        &saved.json(r#"{"id": "{id}", "text": "no {id}", "of": ["{name}"], "n": 1}"#),
    )
    .unwrap();
    assert_eq!(body, json!({"id": 7, "text": "no 7", "of": ["a/b \"{id}\""], "n": 1}));
}

#[test]
fn a_unique_word_is_the_same_in_one_journey_and_another_in_the_next() {
    let (one, other) = (Saved::new(), Saved::new());
    assert_eq!(one.path("/{unique}"), one.path("/{unique}"));
    assert_ne!(one.path("/{unique}"), other.path("/{unique}"));
}

#[test]
fn cookies_are_sent_back_until_they_are_ended() {
    let mut cookies = Cookies::default();
    let set = |text: &str| ("set-cookie".to_owned(), text.to_owned());
    let mut first = answer(200, "");
    first.headers = vec![set("sid=abc=; Path=/; HttpOnly; Secure"), set("b=2; Max-Age=60")];
    cookies.take(&first);
    assert_eq!(cookies.header().as_deref(), Some("b=2; sid=abc="));
    let mut second = answer(200, "");
    second.headers = vec![set("sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), set("b=; max-age=0")];
    cookies.take(&second);
    assert_eq!(cookies.header(), None);
}

#[test]
fn a_journey_is_split_where_the_first_write_is_read() {
    let get = || step("GET", "/");
    let post = || step("POST", "/");
    assert_eq!(first_read_after_write(&[get(), post(), post(), get(), get()]), Some(3));
    assert_eq!(first_read_after_write(&[get(), post()]), None);
    assert_eq!(first_read_after_write(&[get()]), None);
}

/// A server that answers `{"n": NUMBER}` and tells what it was asked.
fn server(number: u32) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::sync_channel(100);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let cookie = head.lines().find(|line| line.starts_with("cookie")).unwrap_or_default();
            let line = head.lines().next().unwrap();
            let seen = format!("{line} {cookie} {}", String::from_utf8(body).unwrap());
            sender.send(seen).unwrap();
            let body = format!("{{\"n\": {number}}}");
            let text = format!(
                "HTTP/1.1 200 OK\r\nset-cookie: n={number}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.get_mut().write_all(text.as_bytes()).unwrap();
        }
    });
    (address, receiver)
}

#[tokio::test]
async fn steps_go_to_the_addresses_in_turn_with_cookies_and_what_was_saved() {
    let ((one, first), (other, second)) = (server(1), server(2));
    let mut write = step("POST", "/a");
    write.ask.json = Some(r#"{"x": 1}"#.into());
    write.save.insert("n".into(), "/n".into());
    let mut wrong = step("GET", "/c/{n}");
    wrong.matches.insert("/n".into(), json!(5));
    let steps = [write, step("GET", "/b/{n}"), wrong];
    let mut client = Client::new(Duration::from_secs(5));
    let broken = client.walk(&steps, &[one, other]).await.unwrap_err();
    assert_eq!(broken.to_string(), "step 3 (GET /c/1): /n is 1 instead of 5");
    let seen: Vec<_> = first.try_iter().chain(second.try_iter()).collect();
    let expected = [
        "POST /a HTTP/1.1  {\"x\":1}",
        "GET /c/1 HTTP/1.1 cookie: n=2 ",
        "GET /b/1 HTTP/1.1 cookie: n=1 ",
    ];
    assert_eq!(seen, expected);
}
