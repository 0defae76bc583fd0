//! Bodies that are long, slow, or have trailers.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use updraft_system::mesh::Protocol;

use crate::support::{Session, Setup, alone, report, resident, soon, until};

/// A body that a test makes as it goes.
struct Made(mpsc::Receiver<Frame<Bytes>>);

impl Body for Made {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

fn made() -> (mpsc::Sender<Frame<Bytes>>, Made) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, Made(receiver))
}

/// A server whose every answer is made by a function of the request.
async fn server<F, A>(http2: bool, answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Made>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async { Ok::<_, std::convert::Infallible>(answer.await) }
                });
                let io = TokioIo::new(stream);
                if http2 {
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(io, service).await);
                } else {
                    let builder = hyper::server::conn::http1::Builder::new();
                    drop(builder.serve_connection(io, service).await);
                }
            });
        }
    });
    address
}

fn asking(body: Made) -> Request<Made> {
    Request::post("/stream").header("host", "pricing").body(body).unwrap()
}

#[tokio::test]
async fn an_event_passes_before_the_next_one_is_made_and_silence_has_an_end() {
    let (events, body) = made();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let address = server(false, move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async {
            Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
        }
    })
    .await;
    let mut setup = Setup::new(&[address]);
    // The deadline is for the head of an answer, not for its body.
    setup.edge().calls.timeout = Duration::from_millis(300);
    setup.edge().calls.idle = Duration::from_millis(800);
    let gateway = setup.start();
    let mut session = Session::http1(setup.port).await;
    let (nothing, empty) = made();
    drop(nothing);
    let response = soon(session.begin(asking(empty))).await.unwrap();
    let mut body = response.into_body();
    let began = Instant::now();
    for number in 0..12 {
        let event = format!("data: {number}\n\n");
        events.send(Frame::data(Bytes::from(event.clone()))).await.unwrap();
        let frame = soon(body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), event);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() > Duration::from_millis(1000), "longer than any limit of silence");
    let silent = Instant::now();
    assert!(soon(body.frame()).await.is_none_or(|frame| frame.is_err()), "it breaks off");
    assert!((500..3000).contains(&silent.elapsed().as_millis()), "{:?}", silent.elapsed());
    until("it is told", || report(&gateway, "cart", "pricing").totals.classes.error == 1).await;
    until("the server hears of it", || events.is_closed()).await;
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let (seen, mut trailers) = mpsc::channel(1);
    let address = server(true, move |request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let body = request.into_body().collect().await.unwrap();
            seen.send(body.trailers().cloned()).await.unwrap();
            let (sender, made) = made();
            tokio::spawn(async move {
                sender.send(Frame::data(body.to_bytes())).await.unwrap();
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", "0".parse().unwrap());
                trailers.insert("authorization", "secret".parse().unwrap());
                sender.send(Frame::trailers(trailers)).await.unwrap();
            });
            Response::builder().header("content-type", "application/grpc").body(made).unwrap()
        }
    })
    .await;
    let mut setup = Setup::new(&[address]);
    setup.cluster().protocol = Protocol::Grpc;
    let gateway = setup.start();
    let mut session = Session::http2(setup.port).await;
    let mut sent = HeaderMap::new();
    sent.insert("x-checksum", "abc".parse().unwrap());
    sent.insert("content-length", "1".parse().unwrap());
    let frames =
        [Ok::<_, std::io::Error>(Frame::data(Bytes::from("data"))), Ok(Frame::trailers(sent))];
    let request = Request::builder()
        .method(Method::POST)
        .uri("http://pricing/shop.Pricing/Quote")
        .header("content-type", "application/grpc")
        .body(StreamBody::new(futures_util::stream::iter(frames)))
        .unwrap();
    let response = soon(session.begin(request)).await.unwrap();
    let body = soon(response.into_body().collect()).await.unwrap();
    let back = body.trailers().unwrap().clone();
    assert_eq!(body.to_bytes(), "data");
    assert_eq!(back.get("grpc-status").unwrap(), "0");
    assert!(!back.contains_key("authorization"), "{back:?}");
    let there = trailers.recv().await.unwrap().unwrap_or_default();
    assert!(!there.contains_key("content-length"), "{there:?}");
    until("it is told", || report(&gateway, "cart", "pricing").totals.classes.success == 1).await;
}

const PIECE: usize = 256 * 1024;

/// As many bytes as there are, in pieces.
async fn pour(sender: mpsc::Sender<Frame<Bytes>>, bytes: usize) {
    let piece = Bytes::from(vec![5; PIECE]);
    for _ in 0..bytes / PIECE {
        if sender.send(Frame::data(piece.clone())).await.is_err() {
            return;
        }
    }
}

async fn drunk(mut body: Incoming) -> usize {
    let mut all = 0;
    while let Some(frame) = body.frame().await {
        all += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    all
}

/// A server that says as much as it hears, after it has heard it all.
async fn swapping(http2: bool) -> SocketAddr {
    server(http2, |request| async move {
        let heard = drunk(request.into_body()).await;
        let (sender, body) = made();
        tokio::spawn(pour(sender, heard));
        Response::new(body)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_each_way_takes_no_memory() {
    if !alone("streaming::a_gibibyte_each_way_takes_no_memory") {
        return;
    }
    const ALL: usize = 1 << 30;
    let mut setup = Setup::new(&[swapping(false).await]);
    setup.edge().calls.timeout = Duration::from_secs(60);
    let gateway = setup.start();
    let mut session = Session::http1(setup.port).await;
    let before = resident();
    let (sender, body) = made();
    tokio::spawn(pour(sender, ALL));
    let watch = tokio::spawn(async {
        let mut most = 0;
        loop {
            most = most.max(resident());
            tokio::time::sleep(Duration::from_millis(20)).await;
            if MEASURED.load(std::sync::atomic::Ordering::SeqCst) {
                return most;
            }
        }
    });
    let began = Instant::now();
    let response = session.begin(asking(body)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(drunk(response.into_body()).await, ALL);
    MEASURED.store(true, std::sync::atomic::Ordering::SeqCst);
    let grown = watch.await.unwrap().saturating_sub(before);
    println!("1 GiB up and down in {:?}, {} KiB more at most", began.elapsed(), grown / 1024);
    assert!(grown < 32 << 20, "{grown} bytes");
    until("it is told", || report(&gateway, "cart", "pricing").response_bytes == ALL as u64).await;
    assert_eq!(report(&gateway, "cart", "pricing").request_bytes, ALL as u64);
}

static MEASURED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
