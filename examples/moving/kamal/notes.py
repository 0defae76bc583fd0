"""A web process and a job of one code, as Kamal runs two roles of one image."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Notes(BaseHTTPRequestHandler):
    def do_GET(self):
        known = {"/": os.environ["MOTTO"], "/up": "up"}
        body = (known.get(self.path, "no such note") + "\n").encode()
        self.send_response(200 if self.path in known else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if not os.environ["SIGNING_KEY"]:
    sys.exit("SIGNING_KEY is empty")
if sys.argv[1] == "job":
    print("waiting for jobs", flush=True)
    signal.sigwait({signal.SIGTERM})
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ThreadingHTTPServer(("", int(os.environ["PORT"])), Notes).serve_forever()
