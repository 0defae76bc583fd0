"""A service of which two versions run: it says which one answers."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"version {sys.argv[1]}\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """The gateway sees each request already."""


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Hello)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve_forever()
