//! A server that is away, hangs or comes back, and what is sent to one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use updraft::{BlobError, Blobs, BlobsUrl, Variable as _};

use super::moto::Moto;
use super::support::{open, told, until};

/// The longest that one call may take here; its own bounds are much tighter.
const BOUND: Duration = Duration::from_secs(10);

fn at(port: u16, parameters: &str) -> Blobs {
    open(&format!("s3://bucket/p?region=r&endpoint=http://127.0.0.1:{port}{parameters}"))
}

/// Asks often enough that the place is left alone, and sees that each answer comes in time.
async fn is_away(blobs: &Blobs) {
    let mut was_left_alone = false;
    for _ in 0..10 {
        let begun = Instant::now();
        let error = blobs.read("k").await.unwrap_err();
        assert!(error.is_away(), "{error:?}");
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        assert!(!told(&error).contains("canary"), "{}", told(&error));
        was_left_alone |= matches!(error, BlobError::Open { .. });
    }
    assert!(was_left_alone);
}

#[tokio::test]
async fn a_server_that_is_away_comes_back_without_anybody_doing_anything() {
    // Bound without listening, it is nobody else's, and free for who sets `SO_REUSEADDR`.
    let held = TcpSocket::new_v4().unwrap();
    held.set_reuseaddr(true).unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    let blobs = at(port, "&timeout=2s");
    is_away(&blobs).await;
    let moto = Moto::start(port);
    until("it is back", || async { blobs.put("k", "v").await.is_ok() }).await;
    assert_eq!(blobs.read("k").await.unwrap(), "v");
    drop(moto);
    until("it is away again", || async { blobs.read("k").await.is_err() }).await;
}

#[tokio::test]
async fn a_server_that_hangs_holds_nobody_up() {
    // The system takes connections for it, and nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    is_away(&at(listener.local_addr().unwrap().port(), "&timeout=100ms")).await;
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_ends_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let blobs = at(listener.local_addr().unwrap().port(), "&timeout=300ms");
    // A slow machine may ask again. An answer that comes before its question is none.
    std::thread::spawn(move || {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let question = BufReader::new(stream.try_clone().unwrap()).lines();
            drop(question.map_while(Result::ok).find(String::is_empty));
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: \"1\"\r\n\
                        Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\nhalf";
            drop(stream.write_all(head.as_bytes()));
            open.push(stream);
        }
    });
    let mut blob = blobs.get("k").await.unwrap();
    assert_eq!(blob.next().await.unwrap().unwrap(), "half");
    let error = blob.next().await.unwrap().unwrap_err();
    assert!(error.is_away(), "{error:?}");
}

#[tokio::test]
async fn a_request_names_the_blob_and_is_signed_with_the_key_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "canary\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        let head: Vec<String> =
            reader.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
        head
    });
    let url = format!("s3://bucket/p/q?region=eu-west-9&endpoint=http://127.0.0.1:{port}");
    let variables =
        [("AWS_ACCESS_KEY_ID", "key-id"), ("AWS_SECRET_ACCESS_KEY_FILE", secret.to_str().unwrap())];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let blobs = BlobsUrl::parse(&url).unwrap().open(variables).unwrap();
    assert!(matches!(blobs.read("a b").await, Err(BlobError::Missing)));
    let head = server.join().unwrap();
    assert_eq!(head[0], "GET /bucket/p/q/a%20b HTTP/1.1");
    let signed = head.iter().find(|line| line.starts_with("authorization: ")).unwrap();
    assert!(signed.contains("AWS4-HMAC-SHA256 Credential=key-id/"), "{signed}");
    assert!(signed.contains("/eu-west-9/s3/aws4_request"), "{signed}");
    assert!(head.iter().all(|line| !line.contains("canary")), "{head:?}");
}

#[tokio::test]
async fn a_key_file_that_cannot_be_read_is_named_by_its_variable() {
    let url = BlobsUrl::parse("s3://bucket/?region=r").unwrap();
    let variable = ("AWS_SECRET_ACCESS_KEY_FILE".to_owned(), "/canary".to_owned());
    let told = told(&url.open([variable]).unwrap_err());
    assert!(told.contains("AWS_SECRET_ACCESS_KEY_FILE") && !told.contains("canary"), "{told}");
}
