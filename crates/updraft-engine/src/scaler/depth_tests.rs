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
struct Redis {
    process: std::process::Child,
    url: String,
}

impl Redis {
    async fn start(folder: &std::path::Path) -> (Self, redis::aio::MultiplexedConnection) {
        // A port that was free a moment ago may be taken: then the server ends, and says so.
        let server = loop {
            if let Some(server) = Self::at_some_port(folder) {
                break server;
            }
        };
        let client = Client::open(server.url.as_str()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        (server, connection)
    }

    fn at_some_port(folder: &std::path::Path) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = std::process::Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"]);
        command.args(["--requirepass", "hunter2", "--dir"]).arg(folder);
        let mut process = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let said = std::io::BufReader::new(process.stdout.take().unwrap());
        let server = Self { process, url: format!("redis://:hunter2@127.0.0.1:{port}") };
        let mut lines = std::io::BufRead::lines(said).map_while(Result::ok);
        lines.any(|line| line.contains("Ready to accept connections")).then_some(server)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.process.kill().and_then(|()| self.process.wait()));
    }
}

#[tokio::test]
async fn what_is_due_or_under_way_in_redis_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (server, mut connection) = Redis::start(folder.path()).await;
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

#[tokio::test]
async fn what_cannot_be_read_says_so_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, empty) = (folder.path().join("missing.sqlite3"), folder.path().join("e.sqlite3"));
    drop(database(&empty).await.close().await);
    for (address, word) in [
        (address(&missing, "queue=jobs"), "open"),
        (address(&empty, "queue=jobs"), "tables yet"),
        (ResourceUrl::parse("nats://u:hunter2@h:4222?queue=jobs").unwrap(), "`nats:`"),
        (ResourceUrl::parse("redis://u:hunter2@127.0.0.1:1/0?queue=q").unwrap(), "refused"),
        (ResourceUrl::parse("postgres://u:hunter2@127.0.0.1:1/x?queue=q").unwrap(), "refused"),
    ] {
        let error = depth(&address, NOW).await.unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains("hunter2"), "{error}");
    }
    assert!(!missing.exists(), "a look makes no database");
}
