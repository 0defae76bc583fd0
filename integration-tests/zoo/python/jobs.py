"""Jobs in a database: `web` takes them, `worker` does them, in the variants that its words name."""
import http.server
import json
import os
import signal
import sqlite3
import sys
import time
import uuid

has = set(sys.argv[1:]).__contains__
LEASE = 10
path = os.environ["JOBS_URL"].removeprefix("sqlite://").split("?")[0]


def database():
    return sqlite3.connect(path, timeout=10, isolation_level=None)


def prepare():
    """Once, before any worker runs: to turn to WAL does not wait for others."""
    connection = database()
    connection.execute("pragma journal_mode = wal")
    connection.executescript(
        "create table if not exists zoo_jobs (id text primary key, free_at real not null);"
        "create table if not exists zoo_done (id text primary key, times integer not null)"
    )
    connection.close()


class Web(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        job = uuid.uuid4().hex
        database().execute("insert into zoo_jobs values (?, 0)", (job,))
        self.answer(201, {"id": job})

    def do_GET(self):
        job = self.path.rsplit("/", 1)[-1]
        row = database().execute("select times from zoo_done where id = ?", (job,)).fetchone()
        says_yes = has("says-yes")
        self.answer(200, {"done": says_yes or row is not None, "times": row[0] if row else 0})

    def log_message(self, *_):
        pass


def take(connection, count):
    """Jobs that nobody holds; they are ours until their lease is over."""
    now = time.time()
    rows = connection.execute(
        "update zoo_jobs set free_at = ? where id in"
        " (select id from zoo_jobs where free_at < ? limit ?) returning id",
        (now + LEASE, now, count),
    )
    return [job for (job,) in rows.fetchall()]


def do(connection, job):
    time.sleep(0.3)
    connection.execute(
        "insert into zoo_done values (?, 1) on conflict (id) do update set times = times + 1", (job,)
    )


def work():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    connection = database()
    while True:
        jobs = take(connection, 3 if has("batch") else 1)
        if has("forgets"):
            # As a consumer that acknowledges automatically.
            connection.executemany("delete from zoo_jobs where id = ?", [(job,) for job in jobs])
        for job in jobs:
            do(connection, job)
            connection.execute("delete from zoo_jobs where id = ?", (job,))
        if not jobs:
            time.sleep(0.05)


if has("worker"):
    work()
else:
    prepare()
    port = int(os.environ["PORT"])
    http.server.ThreadingHTTPServer(("0.0.0.0", port), Web).serve_forever()
