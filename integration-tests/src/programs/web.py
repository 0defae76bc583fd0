"""A web server: says who it is, what it was given, and when it ends."""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        print(f"GET {self.path}", flush=True)
        if self.path == "/env":
            self.answer(200, dict(os.environ))
        elif self.path == "/crash":
            print("last words before the crash", flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        elif self.path in ("/", "/readyz", "/livez"):
            self.answer(200, {"pid": os.getpid(), "replica": os.environ.get("UPDRAFT_REPLICA")})
        else:
            self.answer(404, {"path": self.path})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """The line above is the log."""


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.daemon_threads = True
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(f"listening on {os.environ['PORT']}", flush=True)
server.serve_forever()
print("ended in order", flush=True)
sys.exit(0)
