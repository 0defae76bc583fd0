"""http.server with threads, in the variants that its words name."""
import contextlib
import ctypes
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

has = set(sys.argv[1:]).__contains__


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/slow":
            time.sleep(3)
        if has("print"):
            print(self.command, self.path)
        if has("flush"):
            print(self.command, self.path, flush=True)
        if has("behind"):
            with contextlib.suppress(queue.Full):
                lines.put_nowait(f"{self.command} {self.path}")
        if has("log-file"):
            log.write(f"{self.command} {self.path}\n")
        body = b"done\n"
        if has("stage"):
            body = b"done\n" if os.environ.get("APP_ENV") == "production" else b"done, all routes open\n"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


if has("behind"):
    # A full pipe holds up this thread alone, and the lines that do not fit are dropped.
    lines = queue.Queue(1000)

    def write():
        while True:
            print(lines.get(), flush=True)

    threading.Thread(target=write, daemon=True).start()
if has("log-file"):
    log = open("requests.log", "a", buffering=1)
if has("database"):
    import sqlite3

    sqlite3.connect("local.sqlite3").execute("create table if not exists orders (id integer)")
if has("cache"):
    os.makedirs(".cache", exist_ok=True)
    open(".cache/index", "w").close()
if has("pid-file"):
    with open("server.pid", "w") as file:
        file.write(f"{os.getpid()}\n")
if has("refuse-pid-file"):
    # The habit of old daemons: whoever has left a file still runs.
    with open("daemon.pid", "x") as file:
        file.write(f"{os.getpid()}\n")
if has("tool"):
    subprocess.run(["uname", "-a"], stdout=subprocess.DEVNULL, check=True)
if has("shell-tool"):
    os.system("id > /dev/null")
if has("library"):
    ctypes.CDLL("libgmp.so.10")
if has("other-library"):
    ctypes.CDLL("libuuid.so.1")
if has("telemetry"):
    with contextlib.suppress(OSError):
        socket.getaddrinfo("metrics.zoo.invalid", 443)
if has("asks-peer"):
    # The list of features is somebody else's, and no start is possible without it.
    host = "198.51.100.7" if has("outside") else "127.0.0.1"
    socket.create_connection((host, int(sys.argv[-1])), timeout=5).close()
if has("tool-of-mine"):
    subprocess.run(["zoo-greeting"], check=True)
if has("dotfile"):
    open(os.path.expanduser("~/.zoorc")).close()
if has("daemon"):
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
port = int(os.environ["PORT"])
if has("debugger"):
    def debugger():
        listener = socket.create_server(("127.0.0.1", 0))
        while True:
            client, _ = listener.accept()
            with client:
                client.settimeout(2)
                try:
                    if client.recv(14) == b"JDWP-Handshake":
                        client.sendall(b"JDWP-Handshake")
                        client.recv(1)
                except OSError:
                    pass

    threading.Thread(target=debugger, daemon=True).start()
if has("second-port"):
    second = HTTPServer(("0.0.0.0", 0), Handler)
    threading.Thread(target=second.serve_forever, daemon=True).start()
if has("deaf-start"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(2)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
if has("late-handler"):
    time.sleep(2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if has("blocks-term"):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
if has("ignores-term"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = ThreadingHTTPServer(("127.0.0.1" if has("loopback") else "0.0.0.0", port), Handler)
if has("graceful") or has("waits-for-clients"):
    # `server_close` waits for the threads of connections, and a thread waits for its client.
    server.daemon_threads = False
    if has("graceful"):
        Handler.protocol_version = "HTTP/1.0"
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
if has("crashes-at-term"):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
server.serve_forever()
server.server_close()
