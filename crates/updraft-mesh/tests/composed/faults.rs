//! Endpoints that are killed, stall, end half, vanish, or break off in the middle.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use updraft_system::mesh::{BreakerState, Protocol};

use crate::support::{
    Act, Session, Setup, Upstream, endpoint, get, name, port, report, request, soon, until,
};

/// A server that is a process of its own.
struct Program(Child);

const PYTHON: &str = r"
import sys, socketserver, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    # Head and body in one write: a body that breaks off is another law.
    wbufsize = 65536
    def do_POST(self):
        self.rfile.read(int(self.headers.get('content-length', 0)))
        # In one write: an answer whose head has come cannot be asked for again.
        self.wfile.write(b'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    do_GET = do_POST
    def log_message(self, *_): pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
Server(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
";

impl Program {
    async fn start(at: SocketAddr) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON, &at.port().to_string()]).process_group(0);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let listens = async {
            while TcpStream::connect(at).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(listens).await;
        Self(child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_is_killed_and_nobody_notices() {
    let ports = [port(), port(), port()];
    let mut programs = Vec::new();
    for at in ports {
        programs.push(Some(Program::start(at).await));
    }
    let mut setup = Setup::new(&ports);
    setup.edge().calls.retry.budget = "100%+100/s".parse().unwrap();
    setup.edge().calls.breaker.open_for = Duration::from_millis(200);
    let gateway = setup.start();
    let over = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for _ in 0..4 {
        let (at, over) = (setup.port, Arc::clone(&over));
        load.spawn(async move {
            let mut session = Session::http1(at).await;
            while !over.load(Ordering::SeqCst) {
                let answer = session.send(request(Method::GET, "/", "")).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        });
    }
    let state = |at| {
        let endpoints = report(&gateway, "cart", "pricing").endpoints;
        endpoints.into_iter().find(|it| it.address == at).unwrap()
    };
    for number in 0..3 {
        let at = ports[number];
        until("it works", || state(at).requests > 5).await;
        drop(programs[number].take());
        until("its circuit opens", || state(at).breaker != BreakerState::Closed).await;
        programs[number] = Some(Program::start(at).await);
        until("it is found again", || state(at).breaker == BreakerState::Closed).await;
    }
    over.store(true, Ordering::SeqCst);
    load.join_all().await;
    let report = report(&gateway, "cart", "pricing");
    assert_eq!(report.totals.classes.all(), report.totals.classes.success);
    assert!(report.retries.values().sum::<u64>() > 0);
}

/// A server that says these bytes to each connection, once it has heard something, and then
/// does as told.
async fn saying(bytes: &'static [u8], then: End) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                if stream.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {
                    drop(stream.write_all(bytes).await);
                    match then {
                        End::Reset => {
                            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))
                                .unwrap()
                        }
                        End::Half => {
                            drop(stream.shutdown().await);
                            std::future::pending().await
                        }
                        End::Stall => std::future::pending().await,
                    }
                }
            });
        }
    });
    address
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Reset,
    Half,
    Stall,
}

async fn whole(at: SocketAddr) -> Result<Vec<u8>, std::io::Error> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(b"POST / HTTP/1.1\r\nhost: pricing\r\ncontent-length: 0\r\n\r\n").await?;
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if all.is_empty() => return Err(error),
            Err(_) => return Ok(all),
        }
    }
}

#[tokio::test]
async fn what_breaks_off_is_never_taken_for_whole() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for (bytes, end) in [
        (HEAD, End::Reset),
        (HEAD, End::Half),
        (HEAD, End::Stall),
        (CHUNKED, End::Reset),
        (CHUNKED, End::Half),
        (CHUNKED, End::Stall),
    ] {
        let mut setup = Setup::new(&[saying(bytes, end).await]);
        setup.edge().calls.idle = Duration::from_millis(300);
        let gateway = setup.start();
        let said = soon(whole(setup.port)).await.unwrap();
        let said = String::from_utf8(said).unwrap();
        // The connection ends, with fewer bytes than were promised and no last chunk.
        assert!(
            said.starts_with("HTTP/1.1 200") && !said.ends_with("0\r\n\r\n"),
            "{end:?}: {said}"
        );
        assert!(said.contains("content-length: 10") || said.contains("chunked"), "{said}");
        let error = || report(&gateway, "cart", "pricing").totals.classes.error == 1;
        until("it is an error", error).await;
    }
    for (bytes, end) in [(&b""[..], End::Reset), (b"", End::Half), (b"HTTP/1.1 2", End::Half)] {
        let setup = Setup::new(&[saying(bytes, end).await]);
        let _gateway = setup.start();
        let answer = get(setup.port, "/").await;
        assert_eq!((answer.status.as_u16(), &*answer.problem("kind")), (502, "bad_gateway"));
    }
    let mut setup = Setup::new(&[saying(b"HTTP/1.1 200 OK\r\nx: ", End::Stall).await]);
    setup.edge().calls.timeout = Duration::from_millis(300);
    let _gateway = setup.start();
    assert_eq!(get(setup.port, "/").await.status, 504);
}

/// A namespace of the network that drops all that it gets.
struct BlackHole(String);

fn run(command: &str) -> bool {
    let status = Command::new("sh").args(["-c", command]).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

impl BlackHole {
    fn open() -> Option<(Self, SocketAddr)> {
        let id = format!("{}", std::process::id() % 30_000);
        let name = format!("updraft{id}");
        let made = run(&format!(
            "ip netns add {name} && ip link add up{id} type veth peer name dn{id} && \
             ip link set dn{id} netns {name} && ip addr add 10.231.77.1/30 dev up{id} && \
             ip link set up{id} up && ip netns exec {name} ip addr add 10.231.77.2/30 dev dn{id} && \
             ip netns exec {name} ip link set dn{id} up && ip netns exec {name} ip link set lo up"
        ));
        let hole = Self(name);
        made.then(|| (hole, "10.231.77.2:9000".parse().unwrap()))
    }

    fn drops(&self, on: bool) -> bool {
        let name = &self.0;
        run(&if on {
            format!(
                "ip netns exec {name} nft 'add table inet t; add chain inet t i {{ type filter hook input priority 0; policy drop; }}'"
            )
        } else {
            format!("ip netns exec {name} nft delete table inet t")
        })
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        run(&format!("ip netns del {}", self.0));
    }
}

#[tokio::test]
async fn an_endpoint_whose_packets_vanish_is_left_within_its_time() {
    let hole = if rustix::process::getuid().is_root() { BlackHole::open() } else { None };
    let Some((hole, gone)) = hole else {
        println!("no network namespace can be made here (not root, or no `ip`): not tried");
        return;
    };
    let mut inside = Command::new("ip");
    let script = PYTHON.replace("127.0.0.1", "10.231.77.2");
    inside.args(["netns", "exec", &hole.0, "python3", "-c", &script, "9000"]);
    let program = Program(inside.stdin(Stdio::null()).spawn().unwrap());
    let reached = async {
        while TcpStream::connect(gone).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(reached).await;
    let good = Upstream::named("good");
    let mut setup = Setup::new(&[gone, good.address]);
    setup.config.limits.connect_timeout = Duration::from_millis(250);
    let calls = &mut setup.edge().calls;
    calls.attempt_timeout = Some(Duration::from_millis(400));
    calls.retry.on.insert(updraft_system::mesh::RetryOn::Timeout);
    calls.retry.budget = "100%+100/s".parse().unwrap();
    calls.balance = "round-robin".parse().unwrap();
    calls.breaker.open_for = Duration::from_millis(500);
    let gateway = setup.start();
    for _ in 0..10 {
        assert_eq!(get(setup.port, "/").await.status, 200);
    }
    assert!(hole.drops(true), "nft is needed: apt-get install nftables");
    let ejected = || {
        let endpoints = report(&gateway, "cart", "pricing").endpoints;
        endpoints.iter().any(|it| it.address == gone && it.breaker == BreakerState::Open)
    };
    let mut longest = Duration::ZERO;
    while !ejected() {
        let began = Instant::now();
        let answer = soon(get(setup.port, "/")).await;
        assert_eq!((answer.status.as_u16(), &*answer.text()), (200, "good"));
        longest = longest.max(began.elapsed());
    }
    assert!(longest < Duration::from_millis(1500), "{longest:?}");
    assert!(hole.drops(false));
    let back = async {
        while get(setup.port, "/").await.text() != "ok" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(back).await;
    drop(program);
}

#[tokio::test]
async fn bytes_to_a_dead_endpoint_go_to_a_live_one() {
    let live = crate::support::raw_echo().await;
    let mut setup = Setup::new(&[port(), live]);
    setup.cluster().protocol = Protocol::Tcp;
    setup.edge().calls.retry.budget = "100%+100/s".parse().unwrap();
    let gateway = setup.start();
    for number in 0_u8..30 {
        let mut stream = TcpStream::connect(setup.port).await.unwrap();
        stream.write_all(&[number]).await.unwrap();
        let mut said = [0];
        soon(stream.read_exact(&mut said)).await.unwrap();
        assert_eq!(said, [number]);
    }
    until("all tunnels end", || report(&gateway, "cart", "pricing").tunnels.active == 0).await;
    assert_eq!(report(&gateway, "cart", "pricing").tunnels.opened, 30);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_is_not_taken_in_any_part() {
    let good = Upstream::named("good");
    let other = Upstream::http1(|_| Act::Say("other".to_owned()));
    let mut setup = Setup::of(&good);
    let gateway = setup.start();
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sound = setup.config.clone();
    // Another endpoint, and an edge whose port is taken.
    setup.cluster().endpoints = vec![endpoint(other.address)];
    let taken = held.local_addr().unwrap();
    setup.config.edges.push(crate::support::edge("mail", "pricing", Some(taken)));
    let error = gateway.apply(&setup.config).unwrap_err();
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    for _ in 0..10 {
        assert_eq!(get(setup.port, "/").await.text(), "good");
    }
    assert_eq!(gateway.config(), Some(sound));
    assert_eq!(gateway.report().len(), 1, "no edge of it is told of");
    drop(held);
    gateway.apply(&setup.config).unwrap();
    assert_eq!(get(setup.port, "/").await.text(), "other");
    assert_eq!(gateway.report()[1].from, name("mail"));
}
