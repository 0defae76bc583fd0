"""Serves HTTP on PORT: `POST /` runs the Python of its body, a JSON text, and answers `result`, or
the name of the error, so that a test sees what a confined program may do."""

import errno
import http.server
import json
import os


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"ready")

    def do_POST(self):
        code = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        scope = {"os": os}
        try:
            exec(code, scope)
            self.answer(str(scope.get("result", "done")).encode())
        except OSError as error:
            self.answer(errno.errorcode[error.errno].encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
