//! Redis through a relay.

use std::fs;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use updraft_mesh::instrument::stream::Protocol;
use updraft_mesh::instrument::{
    Direction, Existing, Filter, Instrument, Manner, Patience, Setting, Target, When,
};

use crate::servers::{blocking, redis, redis_cli, redis_command, relayed, soon, text};

/// A client that speaks the protocol by itself.
struct Raw(BufReader<TcpStream>);

impl Raw {
    async fn connect(port: u16) -> Self {
        Self(BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap()))
    }

    async fn send(&mut self, commands: &str) {
        self.0.get_mut().write_all(commands.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        soon("a line", self.0.read_line(&mut line)).await.unwrap();
        line.trim_end().to_owned()
    }

    async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            lines.push(self.line().await);
        }
        lines
    }

    async fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n")).await;
        self.line().await
    }
}

fn asked(port: u16, command: &[&str]) -> String {
    text(&redis_cli(port, command).stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_replies_are_held_from_number_k_on() {
    let server = redis(&[]);
    let instrument = Instrument::new("shop-cache");
    let port = relayed(server.address, Protocol::Redis, &instrument).await;
    let target = Target::whole().after(4).at_most(1);
    let patience = Patience::UntilReleased;
    instrument.set(Setting::Hold { on: Direction::Response, target, patience });
    let mut raw = Raw::connect(port).await;
    let pipeline: String = (1..=10).map(|n| format!("SET k{n} {n}\r\nINCR k{n}\r\n")).collect();
    raw.send(&pipeline).await;
    assert_eq!(raw.lines(4).await, ["+OK", ":2", "+OK", ":3"]);
    soon("the reply", instrument.until_held(1)).await;
    while asked(server.port(), &["GET", "k10"]) != "11" {
        tokio::task::yield_now().await;
    }
    assert!(raw.0.buffer().is_empty());
    assert_eq!(instrument.counts().messages_to_client, 4);
    instrument.release();
    let rest: Vec<String> =
        (3..=10).flat_map(|n| ["+OK".to_owned(), format!(":{}", n + 1)]).collect();
    assert_eq!(raw.lines(16).await, rest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_leads_to_another_server() {
    let (first, second) = (redis(&[]), redis(&[]));
    asked(first.port(), &["SET", "who", "first"]);
    asked(second.port(), &["SET", "who", "second"]);
    let instrument = Instrument::new("shop-cache");
    let port = relayed(first.address, Protocol::Redis, &instrument).await;
    let mut old = Raw::connect(port).await;
    assert_eq!(old.ask("ECHO first").await, "$5");
    assert_eq!(old.line().await, "first");
    let swap = |existing| Setting::Swap { to: second.address, existing };
    instrument.set(swap(Existing::Finish));
    assert_eq!(blocking(move || asked(port, &["GET", "who"])).await, "second");
    old.send("GET who\r\n").await;
    assert_eq!(old.lines(2).await, ["$5", "first"]);
    instrument.set(swap(Existing::Cut));
    assert_eq!(soon("the end", old.0.read(&mut [0])).await.unwrap(), 0);
    instrument.set(Setting::Pass);
    assert_eq!(blocking(move || asked(port, &["GET", "who"])).await, "first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_comes_before_or_after_the_command() {
    let server = redis(&[]);
    let instrument = Instrument::new("shop-cache");
    let port = relayed(server.address, Protocol::Redis, &instrument).await;
    let mut expected = 0;
    for (when, done, told) in [
        (When::BeforeRequest, 0, ""),
        (When::AfterRequest, 1, ""),
        (When::BeforeResponse, 1, ""),
        (When::MidResponse { after: 1 }, 1, ":"),
    ] {
        let target = Target::matching(Filter::asking("incr").unwrap());
        instrument.set(Setting::Cut { when, target, manner: Manner::Close });
        let mut raw = Raw::connect(port).await;
        assert_eq!(raw.ask("PING").await, "+PONG");
        raw.send("INCR n\r\n").await;
        let mut rest = String::new();
        soon("the end", raw.0.read_to_string(&mut rest)).await.unwrap();
        assert_eq!(rest, told, "{when:?}");
        expected += done;
        soon("the command", async {
            while asked(server.port(), &["GET", "n"]).parse().unwrap_or(0) < expected {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(asked(server.port(), &["GET", "n"]).parse().unwrap_or(0), expected, "{when:?}");
    }
}

/// Everything that has a shape of its own in the protocol.
const SCRIPT: &str = r#"
SET a 1
GET a
GET none
MULTI
INCR a
LPUSH l x y z
EXEC
LRANGE l 0 -1
HSET h f 1 g 2
HGETALL h
SADD s m
SMEMBERS s
ZADD z 1.5 m
ZRANGE z 0 -1 WITHSCORES
EVAL "return {1,{2,{3,{'four',{}}}},redis.error_reply('five')}" 0
EVAL "return string.rep('x', 300000)" 0
EVAL "local t = {} for i = 1, 5000 do t[i] = tostring(i) end return t" 0
EVAL "redis.setresp(3) return redis.call('HGETALL', KEYS[1])" 1 h
NOSUCH command
LPUSH a wrong
MULTI
NOSUCH command
EXEC
DEBUG PROTOCOL map
DEBUG PROTOCOL verbatim
DEBUG PROTOCOL true
DEBUG PROTOCOL double
DEBUG PROTOCOL null
BLPOP l 1
COMMAND DOCS get
FLUSHALL
PING
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_cannot_tell_the_relay_from_the_server() {
    let server = redis(&["--enable-debug-command", "yes"]);
    let direct = server.port();
    let instrument = Instrument::new("shop-cache");
    instrument.count(true);
    let port = relayed(server.address, Protocol::Redis, &instrument).await;
    let script = server.folder.path().join("script");
    fs::write(&script, SCRIPT).unwrap();
    for version in ["-2", "-3"] {
        let script = script.clone();
        let run = move |port: u16| {
            let mut command = redis_command(port);
            command.arg(version).stdin(Stdio::from(fs::File::open(&script).unwrap()));
            text(&command.output().unwrap().stdout)
        };
        let (without, with) = blocking(move || (run(direct), run(port))).await;
        assert!(
            without.ends_with("PONG\n") && without.len() > 300_000,
            "{}",
            &without[without.len().saturating_sub(200)..]
        );
        assert!(without == with, "{version}: {with:.2000}");
    }
    // `redis-cli` knows neither attributes nor big numbers.
    let mut raw = Raw::connect(port).await;
    raw.send("HELLO 3\r\nDEBUG PROTOCOL attrib\r\nDEBUG PROTOCOL bignum\r\nPING\r\n").await;
    while raw.line().await != "+PONG" {}
    for kind in ["map", "set", "double", "big number", "verbatim string", "attribute", "null"] {
        assert!(instrument.counts().kinds.contains_key(kind), "{kind} was not seen");
    }

    let commands: String = (0..20_000).map(|n| format!("SET key{n} {n}\r\n")).collect();
    let file = server.folder.path().join("pipe");
    fs::write(&file, commands).unwrap();
    let output = blocking(move || {
        let mut command = redis_command(port);
        command.arg("--pipe").stdin(Stdio::from(fs::File::open(&file).unwrap()));
        command.output().unwrap()
    })
    .await;
    assert!(text(&output.stdout).contains("errors: 0, replies: 20000"), "{}", text(&output.stdout));
    assert_eq!(asked(direct, &["DBSIZE"]), "20000");
    assert_eq!(instrument.counts().malformed, 0);
}

/// A line without what differs between two connections.
fn plain(line: &str) -> String {
    line.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_and_monitors_pass_as_without_a_relay() {
    let server = redis(&[]);
    let direct = server.port();
    let instrument = Instrument::new("shop-cache");
    let port = relayed(server.address, Protocol::Redis, &instrument).await;
    // Whoever holds replies must not hold what nobody asked for.
    instrument.set(Setting::Hold {
        on: Direction::Response,
        target: Target::matching(Filter::asking("GET").unwrap()),
        patience: Patience::UntilReleased,
    });
    for hello in ["PING", "HELLO 3"] {
        let mut seen = Vec::new();
        for port in [direct, port] {
            let mut raw = Raw::connect(port).await;
            raw.send(&format!("{hello}\r\nSUBSCRIBE a b\r\nPSUBSCRIBE n*\r\n")).await;
            let mut lines = Vec::new();
            while lines.last().is_none_or(|line| line != ":3") {
                lines.push(raw.line().await);
            }
            for channel in ["a", "news"] {
                asked(direct, &["PUBLISH", channel, "message"]);
            }
            lines.extend(raw.lines(7 + 9).await);
            raw.send("PING\r\nUNSUBSCRIBE\r\nPUNSUBSCRIBE n*\r\nECHO done\r\n").await;
            while lines.last().is_none_or(|line| line != "done") {
                lines.push(raw.line().await);
            }
            seen.push(lines.iter().map(|line| plain(line)).collect::<Vec<_>>());
        }
        assert_eq!(seen[0], seen[1], "{hello}");
    }
    let mut monitors = [Raw::connect(direct).await, Raw::connect(port).await];
    for raw in &mut monitors {
        assert_eq!(raw.ask("MONITOR").await, "+OK");
    }
    asked(direct, &["SET", "key", "a\nb"]);
    let mut told = Vec::new();
    for raw in &mut monitors {
        let mut line = String::new();
        while !line.contains("\"SET\"") {
            line = raw.line().await;
        }
        told.push(line);
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(instrument.counts().held, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_follows_through_the_relay() {
    let server = redis(&[]);
    asked(server.port(), &["SET", "early", "1"]);
    let instrument = Instrument::new("shop-cache");
    let port = relayed(server.address, Protocol::Redis, &instrument).await;
    let replica = redis(&["--replicaof", &format!("127.0.0.1 {port}")]);
    for (key, write) in [("early", false), ("late", true)] {
        if write {
            asked(server.port(), &["SET", key, "1"]);
        }
        soon(key, async {
            while asked(replica.port(), &["GET", key]) != "1" {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    assert_eq!(instrument.counts().opaque, 1);
    assert_eq!(instrument.counts().malformed, 0);
}
