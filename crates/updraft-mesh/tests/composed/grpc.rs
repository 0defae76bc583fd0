//! gRPC through gateways: tonic at both ends, and Python's grpcio as the caller.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::Request as HttpRequest;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tower::service_fn as method;
use updraft_system::mesh::{OperationPolicy, Protocol};

use crate::support::{Pair, Setup, Source, operation, report, soon, until};

/// Messages are text.
#[derive(Clone, Copy, Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        Ok(Some(String::from_utf8(bytes.to_vec()).unwrap()))
    }
}

type Said = Result<Response<String>, Status>;
type Told = Result<Response<BoxStream<'static, Result<String, Status>>>, Status>;

/// What a message asks for.
async fn obey(text: String, calls: usize) -> Result<String, Status> {
    match text.as_str() {
        "unavailable once" if calls == 0 => Err(Status::unavailable("not now")),
        "unavailable" => Err(Status::unavailable("never")),
        "denied" => Err(Status::permission_denied("not you")),
        "slow" => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(text)
        }
        _ => Ok(format!("{text}!")),
    }
}

/// A server with one method of each kind; counts its calls.
async fn pricing() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let number = counter.fetch_add(1, Ordering::SeqCst);
                    async move { Ok::<_, std::convert::Infallible>(answer(request, number).await) }
                });
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                drop(builder.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (address, count)
}

async fn answer(
    request: HttpRequest<Incoming>,
    number: usize,
) -> http::Response<tonic::body::Body> {
    let mut grpc = tonic::server::Grpc::new(Text);
    match request.uri().path() {
        "/shop.Pricing/Unary" => {
            let act = method(move |asked: Request<String>| async move {
                obey(asked.into_inner(), number).await.map(Response::new)
            });
            grpc.unary(act, request).await
        }
        "/shop.Pricing/Up" => {
            let act = method(|asked: Request<Streaming<String>>| async move {
                let all: Vec<_> = asked.into_inner().collect().await;
                let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
                Said::Ok(Response::new(all.join("+")))
            });
            grpc.client_streaming(act, request).await
        }
        "/shop.Pricing/Down" => {
            let act = method(|asked: Request<String>| async move {
                let text = asked.into_inner();
                let parts: Vec<_> = text
                    .split('+')
                    .map(|part| match part {
                        "broken" => Err(Status::internal("broken")),
                        part => Ok(part.to_owned()),
                    })
                    .collect();
                Told::Ok(Response::new(futures_util::stream::iter(parts).boxed()))
            });
            grpc.server_streaming(act, request).await
        }
        _ => {
            let act = method(|asked: Request<Streaming<String>>| async move {
                let echo = asked.into_inner().map(|text| text.map(|text| format!("{text}?")));
                Told::Ok(Response::new(echo.boxed()))
            });
            grpc.streaming(act, request).await
        }
    }
}

struct Client(tonic::client::Grpc<Channel>);

impl Client {
    async fn connect(at: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{at}")).unwrap();
        Self(tonic::client::Grpc::new(soon(endpoint.connect()).await.unwrap()))
    }

    async fn unary(&mut self, text: &str) -> Result<String, Status> {
        self.0.ready().await.unwrap();
        let path = "/shop.Pricing/Unary".parse().unwrap();
        let sent = self.0.unary(Request::new(text.to_owned()), path, Text);
        soon(sent).await.map(Response::into_inner)
    }

    /// Messages back, and how it ended.
    async fn down(&mut self, text: &str) -> (Vec<String>, Code) {
        self.0.ready().await.unwrap();
        let path = "/shop.Pricing/Down".parse().unwrap();
        let sent = self.0.server_streaming(Request::new(text.to_owned()), path, Text);
        let mut stream: Streaming<String> = soon(sent).await.unwrap().into_inner();
        let mut all = Vec::new();
        loop {
            match soon(stream.message()).await {
                Ok(Some(text)) => all.push(text),
                Ok(None) => return (all, Code::Ok),
                Err(status) => return (all, status.code()),
            }
        }
    }

    async fn all_kinds(&mut self) {
        assert_eq!(self.unary("hello").await.unwrap(), "hello!");
        let long = "x".repeat(1 << 20);
        assert_eq!(self.unary(&long).await.unwrap().len(), (1 << 20) + 1);
        self.0.ready().await.unwrap();
        let up = futures_util::stream::iter(["a", "b", "c"].map(str::to_owned));
        let path = "/shop.Pricing/Up".parse().unwrap();
        let sent = self.0.client_streaming(Request::new(up), path, Text);
        let said: Response<String> = soon(sent).await.unwrap();
        assert_eq!(said.into_inner(), "a+b+c");
        assert_eq!(self.down("a+b+c").await, (["a", "b", "c"].map(str::to_owned).into(), Code::Ok));
        // Both ways at once: an answer comes before the next question is asked.
        let (ask, asked) = tokio::sync::mpsc::channel::<String>(1);
        let asked = futures_util::stream::unfold(asked, |mut asked| async {
            asked.recv().await.map(|text| (text, asked))
        });
        self.0.ready().await.unwrap();
        let sent =
            self.0.streaming(Request::new(asked), "/shop.Pricing/Both".parse().unwrap(), Text);
        let mut said: Streaming<String> = soon(sent).await.unwrap().into_inner();
        for number in 0..20 {
            ask.send(format!("{number}")).await.unwrap();
            assert_eq!(soon(said.message()).await.unwrap().unwrap(), format!("{number}?"));
        }
        drop(ask);
        assert!(soon(said.message()).await.unwrap().is_none());
    }
}

fn setup(address: SocketAddr) -> Setup {
    let mut setup = Setup::new(&[address]);
    setup.cluster().protocol = Protocol::Grpc;
    setup
}

#[tokio::test]
async fn all_kinds_of_calls_pass_one_gateway_and_two() {
    let (address, _) = pricing().await;
    let setup = setup(address);
    let gateway = setup.start();
    Client::connect(setup.port).await.all_kinds().await;
    until("all are told", || report(&gateway, "cart", "pricing").totals.classes.success == 5).await;
    let pair = Pair::new(Source::local(), address, Protocol::Grpc);
    let (caller, callee) = pair.start().await;
    Client::connect(pair.port).await.all_kinds().await;
    for gateway in [&caller, &callee] {
        until("all are told", || report(gateway, "cart", "pricing").totals.classes.success == 5)
            .await;
    }
}

#[tokio::test]
async fn a_status_means_what_it_says_wherever_it_stands() {
    let (address, count) = pricing().await;
    let mut setup = setup(address);
    setup.edge().calls.timeout = Duration::from_millis(700);
    let gateway = setup.start();
    let mut client = Client::connect(setup.port).await;
    // Not declared to be idempotent: once.
    assert_eq!(client.unary("unavailable once").await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(client.unary("denied").await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(client.unary("slow").await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(client.down("a+broken").await, (vec!["a".to_owned()], Code::Internal));
    assert_eq!(client.down("a").await.1, Code::Ok);
    let classes = || report(&gateway, "cart", "pricing").totals.classes;
    until("all are told", || classes().all() == 5).await;
    let told = classes();
    assert_eq!((told.success, told.client_error, told.server_error, told.refused), (1, 1, 2, 1));
}

#[tokio::test]
async fn what_is_unavailable_is_asked_again_where_that_does_no_harm() {
    let (address, count) = pricing().await;
    let mut setup = setup(address);
    let policy = OperationPolicy { idempotent: Some(true), ..OperationPolicy::default() };
    setup.cluster().operations.insert(operation("POST /shop.Pricing/Unary"), policy);
    let gateway = setup.start();
    let mut client = Client::connect(setup.port).await;
    assert_eq!(client.unary("unavailable once").await.unwrap(), "unavailable once!");
    assert_eq!(count.load(Ordering::SeqCst), 2);
    assert_eq!(client.unary("unavailable").await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(count.load(Ordering::SeqCst), 2 + 3);
    assert_eq!(report(&gateway, "cart", "pricing").retries["grpc_unavailable"], 3);
    // A refusal of the gateway is a status as well.
    setup.cluster().endpoints.clear();
    gateway.apply(&setup.config).unwrap();
    let status = client.unary("x").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("pricing"), "{status:?}");
}

const PYTHON: &str = r#"
import sys, grpc
channel = grpc.insecure_channel(sys.argv[1])
plain = lambda b: b
unary = channel.unary_unary("/shop.Pricing/Unary", request_serializer=plain, response_deserializer=plain)
down = channel.unary_stream("/shop.Pricing/Down", request_serializer=plain, response_deserializer=plain)
up = channel.stream_unary("/shop.Pricing/Up", request_serializer=plain, response_deserializer=plain)
both = channel.stream_stream("/shop.Pricing/Both", request_serializer=plain, response_deserializer=plain)
assert unary(b"hello", timeout=10) == b"hello!"
assert len(unary(b"x" * 1000000, timeout=10)) == 1000001
assert list(down(b"a+b+c", timeout=10)) == [b"a", b"b", b"c"]
assert up(iter([b"a", b"b"]), timeout=10) == b"a+b"
assert list(both(iter([b"1", b"2"]), timeout=10)) == [b"1?", b"2?"]
for message, code in [(b"denied", grpc.StatusCode.PERMISSION_DENIED), (b"slow", grpc.StatusCode.DEADLINE_EXCEEDED)]:
    try:
        unary(message, timeout=0.5)
        raise SystemExit("no error")
    except grpc.RpcError as error:
        assert error.code() == code, error
print("well")
"#;

#[tokio::test]
async fn the_grpc_of_python_passes() {
    let (address, _) = pricing().await;
    let pair = Pair::new(Source::local(), address, Protocol::Grpc);
    let (_caller, _callee) = pair.start().await;
    let knows = |python: &&&str| {
        let known = std::process::Command::new(python).args(["-c", "import grpc"]).output();
        known.is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].iter().find(knows);
    let python = found.expect("there is no grpc for Python: apt-get install python3-grpcio");
    let mut command = std::process::Command::new("timeout");
    command.args(["30", python, "-c", PYTHON, &pair.port.to_string()]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout == b"well\n", "{said}");
}
