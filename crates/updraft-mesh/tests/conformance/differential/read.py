"""Reads the bytes of connections as Python's http.server does, and prints what it saw."""

import http.client
import io
import json
import sys
from http.server import BaseHTTPRequestHandler

# The gateway has the same bound and adds fields of its own.
http.client._MAXHEADERS = 200


class Reader(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, data):
        self.rfile = io.BytesIO(data)
        self.wfile = io.BytesIO()
        self.client_address = ("127.0.0.1", 0)
        self.seen = []
        self.close_connection = False
        while not self.close_connection:
            self.handle_one_request()

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.take
        raise AttributeError(name)

    def log_message(self, *_):
        pass

    def take(self):
        body = self.body()
        if body is None:
            self.close_connection = True
            return
        line = f"{self.command} {self.path}"
        self.seen.append({"line": line, "body": body.hex()})

    def body(self):
        if "chunked" in (self.headers.get("transfer-encoding") or "").lower():
            return self.chunks()
        length = int(self.headers.get("content-length") or 0)
        data = self.rfile.read(length)
        return data if len(data) == length else None

    def chunks(self):
        data = b""
        while True:
            line = self.rfile.readline()
            if not line.endswith(b"\n"):
                return None
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            part = self.rfile.read(size)
            if len(part) != size or not self.rfile.readline():
                return None
            data += part
        while True:
            line = self.rfile.readline()
            if not line:
                return None
            if line in (b"\r\n", b"\n"):
                return data


with open(sys.argv[1], encoding="utf-8") as file:
    entries = json.load(file)
print(json.dumps([
    [seen for data in entry for seen in Reader(bytes.fromhex(data)).seen] for entry in entries
]))
