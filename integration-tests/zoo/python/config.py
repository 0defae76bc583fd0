"""A service with a contract of configuration, right and wrong, as its word says."""
import hashlib
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

has = set(sys.argv[1:]).__contains__


def contract():
    for name in ("PAGE_SIZE", "PUBLIC_URL", "API_SECRET"):
        value = os.environ.get(name)
        valid = bool(value)
        if name == "PAGE_SIZE":
            valid = (value or "").isdigit() and 10 <= int(value) <= 500
            if has("one-value"):
                # Whatever else is valid, this code was written for one page size.
                valid = valid and value == "10"
        if name == "PUBLIC_URL":
            valid = "://" in (value or "")
        if not valid:
            sys.exit("bad configuration" if has("unnamed") else f"{name} is missing or malformed")


if not has("lazy"):
    contract()
if has("argument"):
    # Whoever may list processes may read it.
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", os.environ["API_SECRET"]])
if has("writes-settings"):
    with open("settings.ini", "w") as file:
        file.write(f"page_size = {os.environ['PAGE_SIZE']}\n")
if has("hash"):
    print("secret", hashlib.sha256(os.environ["API_SECRET"].encode()).hexdigest(), flush=True)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path in ("/", "/livez", "/readyz")
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(b"done\n" if found else b"no such page\n")

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
