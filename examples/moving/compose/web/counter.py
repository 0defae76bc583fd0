"""Counts its visits in Redis: RESP over a socket, so that nothing has to be installed."""

import os
import signal
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


def redis(url, *words):
    """One command of Redis, and the number that it answers."""
    command = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
        answers = connection.makefile("rb")
        if url.password:
            login = f"*2\r\n$4\r\nAUTH\r\n${len(url.password)}\r\n{url.password}\r\n"
            connection.sendall(login.encode())
            answers.readline()
        connection.sendall(f"*{len(words)}\r\n{command}".encode())
        return int(answers.readline().strip().lstrip(b":"))


class Counter(BaseHTTPRequestHandler):
    def do_GET(self):
        count = redis(urlsplit(os.environ["CACHE_URL"]), "INCR", "visits")
        body = f"visit {count}\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer(("", int(os.environ["PORT"])), Counter).serve_forever()
