//! Calls of services that do not behave.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use updraft::{CallError, Client, Reply, ServiceUrl, Variable};

/// A service that answers every connection with these bytes and then holds it open.
fn service(answer: Vec<u8>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut some = [0; 1024];
            drop(stream.read(&mut some));
            // A client that has read enough goes away.
            drop(stream.write_all(&answer));
            held.push(stream);
        }
    });
    ServiceUrl::parse(&format!("http://{address}")).unwrap().client()
}

fn call(client: &Client) -> Result<Reply, CallError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(client.get("/prices?currency=EUR").send())
}

#[test]
fn a_whole_answer_is_given_whatever_its_status() {
    let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone".to_vec();
    let reply = call(&service(answer)).unwrap();
    assert_eq!(reply.status(), 404);
    assert!(matches!(reply.json::<()>(), Err(CallError::Status(status)) if status == 404));
    assert_eq!(&reply.into_body()[..], b"none");
}

#[test]
fn silence_and_half_an_answer_end_in_time() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec();
    for answer in [Vec::new(), half] {
        let client = service(answer).timeout(Duration::from_millis(200));
        let began = Instant::now();
        assert!(matches!(call(&client), Err(CallError::Timeout(_))));
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n";
    let answer = [head.as_bytes(), &vec![b'x'; 8 * 1024 * 1024]].concat();
    assert!(matches!(call(&service(answer)), Err(CallError::TooLong)));
}

#[test]
fn nobody_there_is_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = ServiceUrl::parse(&format!("http://{address}/")).unwrap().client();
    assert!(matches!(call(&client), Err(CallError::Connect(_))));
}

#[test]
fn a_path_that_is_no_path_is_the_callers_fault() {
    let client = service(Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = runtime.block_on(client.get("/a b\r\nX: y").send());
    assert!(matches!(refused, Err(CallError::Invalid(_))));
}

#[test]
fn only_a_bare_http_url_is_a_service() {
    for wrong in ["", "orders:80", "ftp://orders", "http://user:canary@orders", "http://o/?canary"]
    {
        let error = ServiceUrl::parse(wrong).unwrap_err();
        assert!(!error.contains("canary"), "{error}");
    }
}
