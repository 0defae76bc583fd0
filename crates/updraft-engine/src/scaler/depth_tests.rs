//! The depth of a queue against the very tables and scripts of the chassis.

use super::*;

const TABLES: &str = include_str!("../../../updraft/src/queue/sql/tables.sqlite.sql");
const NOW: i64 = 1_000_000;

async fn database(path: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let options = options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    SqliteConnection::connect_with(&options).await.unwrap()
}

fn address(path: &std::path::Path, query: &str) -> ResourceUrl {
    let file = ResourceUrl::of_path("sqlite", path).unwrap();
    file.with_query(query)
}

#[tokio::test]
async fn what_is_due_or_under_way_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.sqlite3");
    let mut chassis = database(&path).await;
    sqlx::raw_sql(TABLES).execute(&mut chassis).await.unwrap();
    let jobs = [
        ("jobs", "waiting", NOW - 5),
        ("jobs", "waiting", NOW),
        ("jobs", "waiting", NOW + 1),
        ("jobs", "leased", NOW + 60_000),
        ("jobs", "leased", NOW - 60_000),
        ("jobs", "dead", NOW - 5),
        ("jobs", "done", NOW - 5),
        ("other", "waiting", NOW - 5),
    ];
    for (id, (queue, state, due)) in jobs.into_iter().enumerate() {
        let token = (state == "leased").then_some("token");
        sqlx::query(
            "INSERT INTO updraft_jobs (id, queue, kind, payload, state, max_attempts, due_at_ms,
                 lease_token, enqueued_at_ms, first_due_at_ms)
             VALUES ($1, $2, 'k', '{}', $3, 5, $4, $5, 0, 0)",
        )
        .bind(id.to_string())
        .bind(queue)
        .bind(state)
        .bind(due)
        .bind(token)
        .execute(&mut chassis)
        .await
        .unwrap();
    }
    let depth_of = async |query: &str| depth(&address(&path, query), NOW).await.unwrap();
    assert_eq!(depth_of("queue=jobs&max_attempts=5&lease=10s").await, 4);
    assert_eq!(depth_of("queue=other").await, 1);
    assert_eq!(depth_of("queue=nobody").await, 0);
}

/// A server that is gone with its test.
struct Server {
    process: std::process::Child,
    url: String,
    /// Bound without listening, its port is nobody else's.
    _held: tokio::net::TcpSocket,
}

impl Server {
    /// Runs it until it says that it is ready, on one of its two outputs.
    fn start(scheme: &str, program: &str, options: &[&str], ready: &str) -> Self {
        let held = tokio::net::TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = held.local_addr().unwrap().port();
        let (said, theirs) = std::io::pipe().unwrap();
        let mut command = std::process::Command::new(program);
        command.arg("--port").arg(port.to_string()).args(options);
        let process = command.stdout(theirs.try_clone().unwrap()).stderr(theirs).spawn().unwrap();
        // It holds the writing end of the pipe, which would never close.
        drop(command);
        let server = Self { process, url: format!("{scheme}127.0.0.1:{port}"), _held: held };
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(said));
        let is_ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains(ready));
        assert!(is_ready, "{program} ended");
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        server
    }

    fn redis(folder: &str) -> Self {
        let options = ["--save", "", "--bind", "127.0.0.1", "--requirepass", "hunter2", "--dir"];
        let options = [&options[..], &[folder]].concat();
        Self::start("redis://:hunter2@", "redis-server", &options, "Ready to accept connections")
    }

    fn nats(more: &[&str]) -> Self {
        let options = ["--addr", "127.0.0.1", "--user", "u", "--pass", "hunter 2"];
        let options = [&options[..], more].concat();
        Self::start("nats://u:hunter%202@", "nats-server", &options, "Server is ready")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill().and_then(|()| self.process.wait()));
    }
}

#[tokio::test]
async fn what_is_due_or_under_way_in_redis_counts() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::redis(folder.path().to_str().unwrap());
    let client = Client::open(server.url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let push = redis::Script::new(include_str!("../../../updraft/src/queue/redis/push.lua"));
    let claim = redis::Script::new(include_str!("../../../updraft/src/queue/redis/claim.lua"));
    let now = jiff::Timestamp::now().as_millisecond();
    for (id, due) in [("a", now - 2), ("b", now - 1), ("c", now), ("d", now + 3_600_000)] {
        let mut call = push.prepare_invoke();
        call.key("{updraft:jobs}").arg(r#"{"max_attempts":5}"#).arg(id).arg("k").arg(4).arg(due);
        call.arg("").arg("").arg(1000).arg("").arg("").arg(0);
        call.invoke_async::<redis::Value>(&mut connection).await.unwrap();
    }
    let mut call = claim.prepare_invoke();
    call.key("{updraft:jobs}").arg("token").arg(60_000).arg(1).arg("k");
    call.invoke_async::<redis::Value>(&mut connection).await.unwrap();
    let at = |url: &str| ResourceUrl::parse(url).unwrap();
    let of = |query: &str| at(&format!("{}/0?{query}", server.url));
    assert_eq!(depth(&of("queue=jobs&lease=10s"), now).await.unwrap(), 3);
    assert_eq!(depth(&of("queue=jobs"), now + 3_600_000).await.unwrap(), 4);
    assert_eq!(depth(&of("queue=nobody"), now).await.unwrap(), 0);
    let unknown = at(&format!("{}/0?queue=jobs", server.url.replace("hunter2", "hunter3")));
    let said = depth(&unknown, now).await.unwrap_err().to_string();
    assert!(said.contains("neither user nor password") && !said.contains("hunter3"), "{said}");
}

/// The names are those of `docs/reference/queue.md`; the chassis's own test holds them too.
#[tokio::test]
async fn what_is_due_or_under_way_on_nats_counts() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::nats(&["--jetstream", "--store_dir", folder.path().to_str().unwrap()]);
    let options = async_nats::ConnectOptions::new();
    let options = options.user_and_password("u".to_owned(), "hunter 2".to_owned());
    let address = server.url.split_once('@').unwrap().1;
    let jetstream = async_nats::jetstream::new(options.connect(address).await.unwrap());
    let subjects = vec!["updraft.mail=2eout.job.*.*".to_owned()];
    let name = "updraft_mail=2eout_jobs".to_owned();
    let stream = async_nats::jetstream::stream::Config {
        max_messages_per_subject: 1,
        ..async_nats::jetstream::stream::Config { name, subjects, ..Default::default() }
    };
    jetstream.create_stream(stream).await.unwrap();
    let of = |query: &str| ResourceUrl::parse(&format!("{}/?{query}", server.url)).unwrap();
    assert_eq!(depth(&of("queue=mail.out"), NOW).await.unwrap(), 0);
    for (id, state, at) in [
        ("moved", "waiting", NOW - 5),
        ("moved", "leased", NOW + 60_000),
        ("due", "waiting", NOW),
        ("later", "waiting", NOW + 1),
        ("left", "leased", NOW - 60_000),
        ("dead", "dead", NOW - 5),
        ("held", "done", NOW + 60_000),
    ] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Updraft-State", state);
        headers.insert("Updraft-At", at.to_string().as_str());
        let subject = format!("updraft.mail=2eout.job.note.{id}");
        let sent = jetstream.publish_with_headers(subject, headers, "{}".into()).await.unwrap();
        sent.await.unwrap();
    }
    assert_eq!(depth(&of("queue=mail.out&lease=10s"), NOW).await.unwrap(), 3);
    assert_eq!(depth(&of("queue=mail.out"), NOW + 1).await.unwrap(), 4);
    assert_eq!(depth(&of("queue=nobody"), NOW).await.unwrap(), 0);
    let unknown = server.url.replace("hunter", "canary");
    let unknown = ResourceUrl::parse(&format!("{unknown}/?queue=mail.out")).unwrap();
    let said = depth(&unknown, NOW).await.unwrap_err().to_string();
    assert!(said.contains("neither user nor password") && !said.contains("canary"), "{said}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_told_as_such() {
    let server = Server::nats(&[]);
    let address = ResourceUrl::parse(&format!("{}/?queue=q", server.url)).unwrap();
    let said = depth(&address, NOW).await.unwrap_err().to_string();
    assert!(said.contains("JetStream does not answer") && !said.contains("hunter"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_read_says_so_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, empty) = (folder.path().join("missing.sqlite3"), folder.path().join("e.sqlite3"));
    drop(database(&empty).await.close().await);
    for (address, word) in [
        (address(&missing, "queue=jobs"), "open"),
        (address(&empty, "queue=jobs"), "tables yet"),
        (ResourceUrl::parse("amqp://u:hunter2@h:5672?queue=jobs").unwrap(), "`amqp:`"),
        (ResourceUrl::parse("nats://u:hunter2@127.0.0.1:1?queue=q").unwrap(), "reached"),
        (ResourceUrl::parse("redis://u:hunter2@127.0.0.1:1/0?queue=q").unwrap(), "refused"),
        (ResourceUrl::parse("postgres://u:hunter2@127.0.0.1:1/x?queue=q").unwrap(), "refused"),
    ] {
        let error = depth(&address, NOW).await.unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains("hunter2"), "{error}");
    }
    assert!(!missing.exists(), "a look makes no database");
}
