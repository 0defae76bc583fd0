//! What a test relies on when it starts a server, with the servers themselves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::ask::{PATIENCE, until};
use super::*;

const KINDS: [Kind; 3] = [Kind::Postgres, Kind::Redis, Kind::Nats];

fn shared(kind: Kind) -> Server {
    Server::shared(kind).unwrap_or_else(|error| panic!("{error}"))
}

/// Writes something that outlives a restart, or reads whether it is there.
fn redis_ask(url: &str, commands: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).unwrap();
    let (password, number) = (url.password().unwrap(), url.path().trim_start_matches('/'));
    write!(stream, "AUTH {password}\r\nSELECT {number}\r\n{commands}\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn psql(url: &str, statement: &str) -> String {
    let program = programs::find(Kind::Postgres, &["psql"]).unwrap();
    let output = Command::new(program).args(["-XAtq", url, "-c", statement]).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
}

#[test]
fn every_kind_is_killed_and_comes_back_with_its_port() {
    for kind in KINDS {
        let server = Server::start(kind).unwrap_or_else(|error| panic!("{error}"));
        let url = server.url();
        server.kill().unwrap();
        assert!(is_closed(server.port()), "{kind} still listens");
        assert!(matches!(server.stall(), Err(ServerError::NotRunning { .. })));
        server.restart().unwrap();
        assert_eq!(server.url(), url);
        assert!(server.running.site.is_ready(), "{kind}");
        server.stop().unwrap();
        assert!(!server.running.site.is_ready(), "{kind}");
    }
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let redis = Server::start(Kind::Redis).unwrap();
    assert!(redis_ask(&redis.url(), "SET k canary").contains("+OK"));
    redis.kill().unwrap();
    redis.restart().unwrap();
    assert!(redis_ask(&redis.url(), "GET k").contains("canary"));

    let postgres = Server::start(Kind::Postgres).unwrap();
    assert_eq!(psql(&postgres.url(), "CREATE TABLE t (x int)"), "");
    assert_eq!(psql(&postgres.url(), "INSERT INTO t VALUES (7)"), "");
    postgres.kill().unwrap();
    postgres.restart().unwrap();
    assert_eq!(psql(&postgres.url(), "SELECT x FROM t"), "7");
}

#[test]
fn a_stalled_server_takes_connections_and_answers_none_until_it_is_resumed() {
    let server = Server::start(Kind::Redis).unwrap();
    server.stall().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    stream.read(&mut [0; 8]).unwrap_err();
    server.resume().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(stream.read(&mut [0; 8]).unwrap() > 0);
}

#[test]
fn a_stall_reaches_the_backends_of_postgresql_too() {
    let server = Server::start(Kind::Postgres).unwrap();
    let program = programs::find(Kind::Postgres, &["psql"]).unwrap();
    let mut client = Command::new(program)
        .args(["-XAtq", &server.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    let (sender, answers) = std::sync::mpsc::channel();
    let lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || {
        for line in lines {
            sender.send(line.unwrap()).unwrap();
        }
    });
    writeln!(input, "SELECT 1;").unwrap();
    assert_eq!(answers.recv_timeout(PATIENCE).unwrap(), "1");
    server.stall().unwrap();
    writeln!(input, "SELECT 2;").unwrap();
    answers.recv_timeout(Duration::from_millis(200)).unwrap_err();
    server.resume().unwrap();
    assert_eq!(answers.recv_timeout(PATIENCE).unwrap(), "2");
    drop(input);
    client.wait().unwrap();
    reader.join().unwrap();
}

#[test]
fn a_server_and_its_folder_go_with_its_last_clone() {
    let server = Server::start(Kind::Postgres).unwrap();
    let clone = server.clone();
    let (port, folder) = (server.port(), server.running.site.folder.clone());
    drop(server);
    assert!(folder.exists() && !is_closed(port));
    drop(clone);
    assert!(!folder.exists() && is_closed(port));
}

/// Whether the system refuses connections: a server that is stalled does not make it do so.
fn is_closed(port: u16) -> bool {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// Run by the test below in a process of its own, which is then killed.
#[test]
fn a_victim() {
    if std::env::var_os("UPDRAFT_VICTIM").is_none() {
        return;
    }
    let server = Server::start(Kind::Redis).unwrap();
    println!("\nvictim {} {}", server.port(), server.running.site.folder.display());
    server.stall().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn a_server_ends_when_its_test_is_killed_even_while_it_is_stalled() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "testing::server::tests::a_victim", "--nocapture"])
        .env("UPDRAFT_VICTIM", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.starts_with("victim ")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let [_, port, folder] = words[..] else { panic!("{line}") };
    let (port, folder): (u16, _) = (port.parse().unwrap(), std::path::Path::new(folder));
    assert!(folder.exists());
    victim.kill().unwrap();
    victim.wait().unwrap();
    let gone = || (!folder.exists() && is_closed(port)).then_some(());
    until(PATIENCE, gone).unwrap();
}

#[test]
fn those_who_share_a_server_get_the_same_and_databases_of_their_own() {
    for kind in KINDS {
        let (one, two) = (shared(kind), shared(kind));
        assert_eq!(one.url(), two.url());
        let (first, second) = (one.database().unwrap(), two.database().unwrap());
        assert_ne!(first.url(), second.url());
        for refused in [one.stop(), one.kill(), one.stall(), one.resume(), one.restart()] {
            assert!(matches!(refused, Err(ServerError::Shared { .. })));
        }
    }
}

#[test]
fn a_database_is_empty_whoever_had_it_before() {
    let server = Server::start(Kind::Redis).unwrap();
    let slot = Slot::take(&server.running.site).unwrap();
    let url = server.running.site.url(slot.number());
    assert!(redis_ask(&url, "SET k canary").contains("+OK"));
    // As when a test is killed: nobody empties it, and the lock is gone.
    drop(slot);
    let mut held = Vec::new();
    for _ in 0..slot::MOST {
        let database = server.database().unwrap();
        assert!(!redis_ask(&database.url(), "GET k").contains("canary"));
        held.push(database);
    }
    assert!(matches!(server.database(), Err(ServerError::Occupied { .. })));

    let postgres = shared(Kind::Postgres);
    let database = postgres.database().unwrap();
    assert_eq!(psql(&database.url(), "CREATE TABLE t (x int)"), "");
    let url = database.url();
    drop(database);
    assert!(psql(&url, "SELECT 1").contains("does not exist"));
}

#[test]
fn a_shared_server_ends_after_its_last_user() {
    let linger = Duration::from_millis(50);
    let join = || Server::shared_lingering(Kind::Redis, "one after another", linger).unwrap();
    let first = join();
    let (port, folder) = (first.port(), first.running.site.folder.clone());
    let second = join();
    assert_eq!(second.port(), port);
    drop(first);
    // Longer than the linger: whoever is left keeps it.
    let refused = || is_closed(port).then_some(());
    assert!(until(Duration::from_millis(300), refused).is_none());
    drop(second);
    until(PATIENCE, || (!folder.exists()).then_some(())).unwrap();
    refused().unwrap();
    let third = join();
    assert!(third.running.site.is_ready());
    assert_ne!(third.running.site.folder, folder);
}

#[test]
fn many_who_come_at_once_share_one_server() {
    let join = || Server::shared_lingering(Kind::Redis, "all at once", Duration::ZERO).unwrap();
    let ports: Vec<u16> = std::thread::scope(|scope| {
        let joining: Vec<_> = (0..8).map(|_| scope.spawn(join)).collect();
        let servers: Vec<_> = joining.into_iter().map(|thread| thread.join().unwrap()).collect();
        servers.iter().map(Server::port).collect()
    });
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
}

#[test]
fn a_missing_program_is_named_with_its_packages() {
    let error = programs::find(Kind::Nats, &["no-such-program"]).unwrap_err().to_string();
    assert!(error.contains("`no-such-program`") && error.contains("nats-server"), "{error}");
}
