"""A service that takes a while for each answer, so that requests are in flight."""

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENDING = threading.Event()


class Slow(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path != "/readyz":
            ENDING.wait(0.2)
        body = f"copy {os.environ.get('UPDRAFT_REPLICA')}\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """The gateway sees each request already."""


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Slow)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve_forever()
