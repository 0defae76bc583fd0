//! Several addresses: one that is away or silent must not be felt by whoever calls.

use std::time::{Duration, Instant};

use updraft::{CallError, ServiceUrl, Variable as _};

use super::server::{PATIENCE, Server, client, policy};

#[tokio::test]
async fn calls_are_spread_over_all_addresses() {
    let servers = [Server::of_status(200).await, Server::of_status(200).await];
    let client = client(&[&servers[0], &servers[1]], policy());
    for _ in 0..200 {
        client.get("/").send().await.unwrap();
    }
    let asked = servers.map(|server| server.asked().len());
    assert_eq!(asked[0] + asked[1], 200);
    assert!(asked.iter().all(|it| 50 < *it), "{asked:?}");
}

#[tokio::test]
async fn an_address_that_is_killed_costs_no_call_not_even_one_that_is_sent_once() {
    let mut servers = [Server::of_status(200).await, Server::of_status(200).await];
    let client = client(&[&servers[0], &servers[1]], policy());
    for number in 0..200 {
        if number == 50 {
            servers[0].stop().await;
        }
        // The connections of the one that was killed are closed before a request is written.
        let method = if number < 60 { "GET" } else { "POST" };
        let reply = client.call(method.parse().unwrap(), "/").send().await;
        assert_eq!(reply.unwrap().status(), 200, "{number}");
    }
    assert!(servers[1].asked().len() >= 150);
    let handle = client.policy();
    assert_eq!(handle.snapshot().counts.given_up, 0);
}

#[tokio::test]
async fn an_address_that_is_silent_is_left_alone_and_comes_back() {
    let servers = [Server::of_status(200).await, Server::of_status(200).await];
    let mut quick = policy();
    quick.attempt_timeout = Some(Duration::from_millis(250));
    let client = client(&[&servers[0], &servers[1]], quick);
    servers[0].stall(true);
    for _ in 0..100 {
        assert_eq!(client.get("/").send().await.unwrap().status(), 200);
    }
    let silent = servers[0].asked().len();
    assert!((1..=10).contains(&silent), "{silent} of 100 calls met the silent one");
    servers[0].stall(false);
    let served = || servers[0].asked().len() - silent;
    let deadline = Instant::now() + PATIENCE;
    while served() < 5 {
        assert!(Instant::now() < deadline, "it never comes back");
        assert_eq!(client.get("/").send().await.unwrap().status(), 200);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_breaker_opens_refuses_at_once_and_closes_when_the_service_is_well() {
    let server =
        Server::start(|number| (if number < 5 { 500 } else { 200 }, vec![], String::new())).await;
    let client = client(&[&server], policy());
    const OPEN: Duration = Duration::from_millis(300);
    let mut last = Instant::now();
    for _ in 0..5 {
        last = Instant::now();
        assert_eq!(client.get("/").send().await.unwrap().status(), 500);
    }
    match client.get("/").send().await {
        Err(CallError::Unavailable { retry_after }) => {
            assert!(retry_after <= OPEN);
            assert_eq!(server.asked().len(), 5, "nothing was sent");
        }
        other => assert!(OPEN <= last.elapsed(), "the breaker is not open: {other:?}"),
    }
    let deadline = Instant::now() + PATIENCE;
    while client.get("/").send().await.is_err() {
        assert!(Instant::now() < deadline, "it never closes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..20 {
        assert_eq!(client.get("/").send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn names_are_looked_up_and_all_their_addresses_tried() {
    let server = Server::of_status(200).await;
    let url = format!("http://localhost:{}", server.address.port());
    let client = ServiceUrl::parse(&url).unwrap().client_with("ledger", policy()).unwrap();
    for _ in 0..20 {
        assert_eq!(client.post("/").send().await.unwrap().status(), 200);
    }
    assert_eq!(server.asked()[0].header("host"), Some(&url["http://".len()..]));
    let nowhere = ServiceUrl::parse("http://nowhere.invalid").unwrap();
    let nowhere = nowhere.client_with("nowhere", policy()).unwrap();
    let error = nowhere.get("/").send().await.unwrap_err();
    assert!(matches!(error, CallError::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_known_to_be() {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = hyper::service::service_fn(async |request: hyper::Request<_>| {
                let _: &hyper::body::Incoming = request.body();
                let version = format!("{:?}", request.version());
                Ok::<_, std::convert::Infallible>(hyper::Response::new(version))
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(async move {
                drop(serving.serve_connection(TokioIo::new(stream), answer).await);
            });
        }
    });
    let url = ServiceUrl::parse(&format!("h2c://{address}")).unwrap();
    let reply = url.client_with("ledger", policy()).unwrap().get("/").send().await.unwrap();
    assert_eq!(&reply.body()[..], b"HTTP/2.0");
}

#[tokio::test]
async fn a_socket_of_a_file_is_an_address_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let answer = hyper::service::service_fn(async |_| {
            Ok::<_, std::convert::Infallible>(hyper::Response::new("by a socket".to_owned()))
        });
        let serving = hyper::server::conn::http1::Builder::new();
        drop(serving.serve_connection(hyper_util::rt::TokioIo::new(stream), answer).await);
    });
    let url = ServiceUrl::parse(&format!("unix:{}", path.display())).unwrap();
    let reply = url.client_with("ledger", policy()).unwrap().get("/x").send().await.unwrap();
    assert_eq!(&reply.body()[..], b"by a socket");
}
