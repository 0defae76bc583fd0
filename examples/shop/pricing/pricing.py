"""The prices of the shop: a service in plain Python, to show that Updraft does not mind.

It keeps the same manners as its neighbours: configuration from the environment, `PORT`,
health, a drain on SIGTERM, and one JSON object per line on standard output.
"""

import json
import os
import signal
import socketserver
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Prices are in minor units of the euro.
EURO_PRICES = {
    "KITE": 4_900,
    "GLIDER": 1_450,
    "WINDSOCK": 2_300,
    "BALLOON": 890,
    "PINWHEEL": 650,
    "CHIME": 3_700,
}

# Symbol, and how many minor units of the currency a euro cent is worth, in thousandths.
CURRENCIES = {"EUR": ("€", 1_000), "USD": ("$", 1_090), "GBP": ("£", 860)}

IDLE_SECONDS = 75
GRACE_SECONDS = 25


# Set when the process was asked to stop.
DRAINING = threading.Event()


class InFlight:
    """Counts requests, so that the exit can wait for the last one."""

    def __init__(self):
        self.count = 0
        self.changed = threading.Condition()

    def __enter__(self):
        with self.changed:
            self.count += 1

    def __exit__(self, *_):
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def wait_until_none(self, seconds):
        with self.changed:
            return self.changed.wait_for(lambda: self.count == 0, timeout=seconds)


IN_FLIGHT = InFlight()


def log(level, message, **fields):
    time_of_day = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    line = {
        "time": time_of_day.replace("+00:00", "Z"),
        "level": level,
        "message": message,
        "service": "pricing",
        "process": "web",
        **fields,
    }
    # One write per line, so that lines of several threads never mix.
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def price(euro_cents, currency):
    symbol, rate = CURRENCIES[currency]
    amount = euro_cents * rate // 1_000
    display = f"{symbol}{amount // 100}.{amount % 100:02}"
    return {"amount_minor": amount, "currency": currency, "display": display}


def prices(currency):
    return {sku: price(cents, currency) for sku, cents in EURO_PRICES.items()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Header and body leave together, and at once.
    wbufsize = -1
    disable_nagle_algorithm = True
    currency = "EUR"

    def do_GET(self):
        with IN_FLIGHT:
            self.respond()
            self.wfile.flush()

    def respond(self):
        began = time.monotonic()
        path = self.path.partition("?")[0]
        status, body = self.answer(path)
        text = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        kind = "application/json" if status < 400 else "application/problem+json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        if DRAINING.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)
        if path == "/prices":
            log(
                "INFO",
                "request",
                method="GET",
                route=path,
                status=status,
                duration_ms=round((time.monotonic() - began) * 1000, 3),
                request_id=self.headers.get("X-Request-Id"),
            )

    def answer(self, path):
        if path == "/prices":
            return 200, {"prices": prices(self.currency)}
        if path == "/livez":
            return 200, {"status": "live"}
        if path == "/readyz" and DRAINING.is_set():
            return 503, {"title": "Service Unavailable", "status": 503, "detail": "draining"}
        if path == "/readyz":
            return 200, {"status": "ready"}
        return 404, {"title": "Not Found", "status": 404}

    def log_message(self, *_):
        """The line of `do_GET` says it in JSON."""


class Server(ThreadingHTTPServer):
    # Threads do not hold the exit by being idle; requests in flight do, by being counted.
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        # The base class asks the name service for our own name, which nobody needs.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def settings():
    """Reads all of the environment, and tells all that is wrong with it at once."""
    problems = []
    port = os.environ.get("PORT", "")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        problems.append("PORT must be a TCP port such as 8080")
    currency = os.environ.get("CURRENCY") or "EUR"
    if currency not in CURRENCIES:
        problems.append(f"CURRENCY must be one of {', '.join(CURRENCIES)}")
    if problems:
        sys.stderr.write("pricing: the configuration is wrong\n  " + "\n  ".join(problems) + "\n")
        sys.exit(78)
    return os.environ.get("HOST") or "127.0.0.1", int(port), currency


def main():
    host, port, Handler.currency = settings()
    with Server((host, port), Handler) as server:
        def stop(signum, _frame):
            log("INFO", "stopping", signal=signal.Signals(signum).name)
            DRAINING.set()
            # `shutdown` waits for the loop that this very thread runs.
            threading.Thread(target=server.shutdown, name="stop").start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        log("INFO", "listening", address=f"{host}:{server.server_port}", currency=Handler.currency)
        server.serve_forever(poll_interval=0.05)
    if IN_FLIGHT.wait_until_none(seconds=GRACE_SECONDS):
        log("INFO", "stopped")
    else:
        log("ERROR", "requests were cut off", requests=IN_FLIGHT.count)
        sys.exit(1)


if __name__ == "__main__":
    main()
