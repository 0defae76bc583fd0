"""A greeting, as an application of Heroku has it: PORT and config vars from the environment."""

import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Greeting(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{os.environ['GREETING']}, world\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Greeting).serve_forever()
