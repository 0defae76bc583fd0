//! PostgreSQL through a relay.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use updraft_mesh::instrument::stream::Protocol;
use updraft_mesh::instrument::{
    Direction, Filter, Instrument, Manner, Patience, Setting, Target, When,
};
use updraft_system::mesh::Share;

use crate::servers::{
    blocking, postgres, postgres_program, psql, psql_command, relayed, soon, text, value,
};

/// A client that speaks the protocol by itself.
struct Raw {
    stream: TcpStream,
    key: Vec<u8>,
}

fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[letter][..], &length.to_be_bytes(), body].concat()
}

fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
}

impl Raw {
    async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut raw = Self { stream, key: Vec::new() };
        raw.stream.write_all(&packet(80_877_103, b"")).await.unwrap();
        assert_eq!(raw.stream.read_u8().await.unwrap(), b'N');
        let startup = packet(3 << 16, b"user\0pg\0database\0postgres\0\0");
        raw.stream.write_all(&startup).await.unwrap();
        loop {
            match raw.read().await {
                (b'K', body) => raw.key = body,
                (b'Z', _) => return raw,
                _ => {}
            }
        }
    }

    async fn send(&mut self, messages: &[Vec<u8>]) {
        self.stream.write_all(&messages.concat()).await.unwrap();
    }

    async fn query(&mut self, sql: &str) {
        self.send(&[message(b'Q', format!("{sql}\0").as_bytes())]).await;
    }

    async fn read(&mut self) -> (u8, Vec<u8>) {
        let letter = self.stream.read_u8().await.unwrap();
        let length = self.stream.read_u32().await.unwrap();
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        self.stream.read_exact(&mut body).await.unwrap();
        (letter, body)
    }

    /// The letters of what comes up to `ReadyForQuery`.
    async fn letters(&mut self) -> String {
        let mut letters = String::new();
        while !letters.ends_with('Z') {
            letters.push(char::from(soon("a message", self.read()).await.0));
        }
        letters
    }
}

fn extended(sql: &str) -> [Vec<u8>; 4] {
    [
        message(b'P', format!("\0{sql}\0\0\0").as_bytes()),
        message(b'B', b"\0\0\0\0\0\0\0\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
    ]
}

fn hold_commit() -> Setting {
    let target = Target::matching(Filter::commit()).at_most(1);
    Setting::Hold { on: Direction::Response, target, patience: Patience::UntilReleased }
}

fn transaction(port: u16) -> Child {
    let mut psql = psql_command(port);
    psql.args(["-c", "begin", "-c", "insert into t values (1)", "-c", "/* me */ commit"]);
    psql.spawn().unwrap()
}

const ROWS: &str = "select count(*) from t";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reply_to_commit_is_held_after_the_server_has_committed() {
    let server = postgres(None);
    let direct = server.port();
    value(direct, "create table t (x int)");
    let instrument = Instrument::new("shop-db");
    let port = relayed(server.address, Protocol::Postgres, &instrument).await;

    instrument.set(hold_commit());
    let mut client = transaction(port);
    soon("the reply", instrument.until_held(1)).await;
    assert_eq!(value(direct, ROWS), "1", "the server has not committed");
    assert!(client.try_wait().unwrap().is_none(), "the client did not wait");
    assert_eq!(instrument.release(), 1);
    let output = blocking(move || client.wait_with_output().unwrap()).await;
    assert!(output.status.success(), "{}", text(&output.stderr));

    let mut raw = Raw::connect(port).await;
    raw.send(&extended("begin")).await;
    assert_eq!(raw.letters().await, "12CZ");
    raw.send(&extended("insert into t values (2)")).await;
    assert_eq!(raw.letters().await, "12CZ");
    instrument.set(hold_commit());
    raw.send(&extended("commit")).await;
    raw.query(ROWS).await;
    assert_eq!((raw.read().await.0, raw.read().await.0), (b'1', b'2'));
    soon("the reply", instrument.until_held(1)).await;
    assert_eq!(value(direct, ROWS), "2");
    instrument.release();
    assert_eq!((raw.letters().await, raw.letters().await), ("CZ".to_owned(), "TDCZ".to_owned()));

    // Wherever it stands, the tag tells.
    let target = Target::matching(Filter::saying("COMMIT").unwrap());
    let patience = Patience::UntilReleased;
    instrument.set(Setting::Hold { on: Direction::Response, target, patience });
    raw.query("begin; insert into t values (3); commit; select 1").await;
    for letter in *b"CC" {
        assert_eq!(raw.read().await.0, letter);
    }
    soon("the reply", instrument.until_held(1)).await;
    assert_eq!(value(direct, ROWS), "3");
    instrument.set(Setting::Pass);
    assert_eq!(raw.letters().await, "CTDCZ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_comes_before_or_after_the_commit() {
    let server = postgres(None);
    let direct = server.port();
    value(direct, "create table t (x int)");
    let instrument = Instrument::new("shop-db");
    let port = relayed(server.address, Protocol::Postgres, &instrument).await;
    let cut =
        |when, manner| Setting::Cut { when, target: Target::matching(Filter::commit()), manner };
    for (when, manner, rows) in [
        (When::BeforeRequest, Manner::Close, "0"),
        (When::BeforeRequest, Manner::Reset, "0"),
        (When::AfterRequest, Manner::Close, "1"),
        (When::AfterRequest, Manner::Reset, "2"),
        (When::BeforeResponse, Manner::Reset, "3"),
        (When::MidResponse { after: 3 }, Manner::Close, "4"),
    ] {
        instrument.set(cut(when, manner));
        let output = blocking(move || transaction(port).wait_with_output().unwrap()).await;
        assert!(!output.status.success(), "{when:?}: the client was told that it succeeded");
        let sessions =
            "select count(*) from pg_stat_activity where backend_type = 'client backend'";
        soon("the end of the session", async {
            while value(direct, sessions) != "1" {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(value(direct, ROWS), rows, "{when:?}");
    }
    assert_eq!(instrument.counts().cut, 6);
    assert_eq!(instrument.counts().malformed, 0);

    // A transaction that is under way when everything is cut.
    instrument.set(Setting::Pass);
    let mut raw = Raw::connect(port).await;
    raw.query("begin; insert into t values (9)").await;
    assert_eq!(raw.letters().await, "CCZ");
    let when = When::Now { refuse: false };
    instrument.set(Setting::Cut { when, target: Target::whole(), manner: Manner::Close });
    assert_eq!(soon("the end", raw.stream.read(&mut [0])).await.unwrap(), 0);
    assert_eq!(value(direct, ROWS), "4");
}

/// Everything that has a flow of its own in the protocol.
const SCRIPT: &str = r"
create table u (id int primary key, name text);
copy u from stdin;
1	one
2	two
\.
copy (select * from u order by id) to stdout;
\copy u from program 'seq -f %g,x 3 2000' with (format csv)
\copy (select count(*), sum(id) from u) to stdout
do $$ begin raise notice 'hear, hear'; end $$;
listen news;
notify news, 'extra';
select 1;
prepare p as select name from u where id = $1;
execute p(2);
\set ON_ERROR_STOP 0
insert into u values (1, 'again');
select nonsense;
copy u from stdin;
not a number	x
\.
\set ON_ERROR_STOP 1
begin; insert into u values (-1, 'x'); rollback; select count(*) from u;
select repeat('x', 200000), generate_series(1, 20);
begin; declare c cursor for select * from u order by id; fetch 3 from c; commit;
select 1 \; select 2 \; select 3;
select;
drop table u;
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_cannot_tell_the_relay_from_the_server() {
    let server = postgres(None);
    let direct = server.port();
    let instrument = Instrument::new("shop-db");
    instrument.count(true);
    let port = relayed(server.address, Protocol::Postgres, &instrument).await;
    let script = server.folder.path().join("script.sql");
    fs::write(&script, SCRIPT).unwrap();
    let run = move |port: u16| {
        let output = psql(port, &["-f", &script.display().to_string()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let pid = |line: &str| line.split(" from server process").next().map(str::to_owned);
        let lines = |bytes: &[u8]| text(bytes).lines().filter_map(pid).collect::<Vec<_>>();
        (lines(&output.stdout), lines(&output.stderr))
    };
    let (without, with) = blocking(move || (run(direct), run(port))).await;
    assert_eq!(without, with);
    let said = with.0.join("\n") + &with.1.join("\n");
    for expected in ["2000\t2001000", "hear, hear", "\"news\"", "duplicate key", "two"] {
        assert!(said.contains(expected), "{expected} is not in {said:.2000}");
    }
    let kinds = instrument.counts().kinds;
    for kind in
        ["NoticeResponse", "NotificationResponse", "CopyData", "CopyDone", "SSLRequest", "DataRow"]
    {
        assert!(kinds.contains_key(kind), "{kind} was not seen: {kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelines_of_prepared_statements_pass() {
    let server = postgres(None);
    let direct = server.port();
    value(direct, "create table t (x int)");
    let instrument = Instrument::new("shop-db");
    let port = relayed(server.address, Protocol::Postgres, &instrument).await;
    instrument.count(true);
    let script = server.folder.path().join("pipeline.sql");
    let pipeline = "\\startpipeline\nbegin;\ninsert into t values (:client_id);\nselect count(*) from t;\ncommit;\n\\endpipeline\n";
    fs::write(&script, pipeline).unwrap();
    for mode in ["extended", "prepared"] {
        let mut command = Command::new(postgres_program("pgbench"));
        command.args(["-n", "-M", mode, "-c", "4", "-t", "50", "-h", "127.0.0.1", "-U", "pg"]);
        command.args(["-p", &port.to_string(), "-f"]).arg(&script).arg("postgres");
        let output = blocking(move || command.output().unwrap()).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(value(direct, ROWS), "400");
    let kinds = instrument.counts().kinds;
    assert_eq!(kinds["Execute"].messages, 4 * 400);
    assert_eq!(kinds["CommandComplete"].messages, 4 * 400);
    // In the middle of a row of them, at the third commit of each client.
    let target = Target::matching(Filter::commit()).after(2).at_most(1);
    let patience = Patience::UntilReleased;
    instrument.set(Setting::Hold { on: Direction::Response, target, patience });
    let mut raw = Raw::connect(port).await;
    for _ in 0..3 {
        let three = ["begin", "insert into t values (7)", "commit"];
        raw.send(&three.map(|sql| extended(sql).concat())).await;
    }
    for _ in 0..8 {
        assert_eq!(raw.letters().await, "12CZ");
    }
    soon("the reply", instrument.until_held(1)).await;
    assert_eq!(value(direct, "select count(*) from t where x = 7"), "3");
    instrument.release();
    assert_eq!(raw.letters().await, "12CZ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_row_passes_through_little_memory() {
    const LENGTH: usize = 64_000_000;
    let server = postgres(None);
    let instrument = Instrument::new("shop-db");
    let port = relayed(server.address, Protocol::Postgres, &instrument).await;
    instrument.count(true);
    let mut raw = Raw::connect(port).await;
    let before = memory();
    raw.query(&format!("select repeat('x', {LENGTH})")).await;
    let (mut chunk, mut received) = (vec![0; 64 * 1024], 0);
    while !chunk.ends_with(b"SELECT 1\0Z\0\0\0\x05I") {
        chunk.resize(64 * 1024, 0);
        let read = soon("the row", raw.stream.read(&mut chunk)).await.unwrap();
        assert!(read > 0);
        received += read;
        chunk.truncate(read);
    }
    assert!(received > LENGTH);
    assert!(memory() - before < 16 * 1024, "{} KiB more", memory() - before);
    assert!(instrument.counts().kinds["DataRow"].bytes > LENGTH as u64);
}

/// The most memory that this process ever had, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delays_stalls_and_cancellations_work() {
    let server = postgres(None);
    let instrument = Instrument::new("shop-db");
    let port = relayed(server.address, Protocol::Postgres, &instrument).await;
    let mut raw = Raw::connect(port).await;
    let by = Duration::from_millis(300);
    instrument.set(Setting::Delay {
        on: Some(Direction::Response),
        target: Target::matching(Filter::asking("select 1").unwrap()),
        by,
        jitter: Duration::ZERO,
        share: Share::percent(100),
        seed: 0,
    });
    for (sql, slow) in [("select 1", true), ("select 2", false)] {
        let delayed = instrument.counts().delayed;
        let before = Instant::now();
        raw.query(sql).await;
        assert_eq!(raw.letters().await, "TDCZ");
        assert_eq!(instrument.counts().delayed - delayed, u64::from(slow));
        assert!(!slow || before.elapsed() >= by);
    }

    instrument.set(Setting::Pass);
    raw.query("select pg_sleep(600)").await;
    let waiting = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    while value(server.port(), waiting) != "1" {
        tokio::task::yield_now().await;
    }
    let mut other = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    other.write_all(&packet(80_877_102, &raw.key)).await.unwrap();
    assert_eq!(soon("the end", other.read(&mut [0])).await.unwrap(), 0);
    assert_eq!(raw.letters().await, "TEZ");

    instrument.set(Setting::Stall { on: None, target: Target::whole() });
    raw.query("select 3").await;
    while instrument.counts().stalled == 0 {
        tokio::task::yield_now().await;
    }
    let active = "select count(*) from pg_stat_activity where query like 'select 3%'";
    assert_eq!(value(server.port(), active), "0");
    instrument.set(Setting::Pass);
    assert_eq!(raw.letters().await, "TDCZ");
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut body = String::new();
    for (number, three) in der.chunks(3).enumerate() {
        let padded = [three[0], *three.get(1).unwrap_or(&0), *three.get(2).unwrap_or(&0)];
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            body.push(if place > three.len() { '=' } else { char::from(letter) });
        }
        if number % 16 == 15 {
            body.push('\n');
        }
    }
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", body.trim_end())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_session_is_opaque_and_says_so() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = pem("CERTIFICATE", made.cert.der());
    let key = pem("PRIVATE KEY", made.signing_key.serialized_der());
    let server = postgres(Some((&certificate, &key)));
    let instrument = Instrument::new("shop-db");
    let port = relayed(server.address, Protocol::Postgres, &instrument).await;
    instrument.count(true);
    for (mode, encrypted, opaque) in [("disable", "f", 0), ("require", "t", 1), ("prefer", "t", 2)]
    {
        let output = blocking(move || {
            let mut psql = psql_command(port);
            psql.env("PGSSLMODE", mode);
            psql.args(["-c", "select ssl from pg_stat_ssl where pid = pg_backend_pid()"]);
            psql.output().unwrap()
        })
        .await;
        assert_eq!(text(&output.stdout).trim(), encrypted, "{}", text(&output.stderr));
        assert_eq!(instrument.counts().opaque, opaque);
    }
    assert_eq!(instrument.counts().kinds["Query"].messages, 1);
    assert!(instrument.counts().kinds["Bytes"].messages > 0);
    assert_eq!(instrument.counts().malformed, 0);
}
