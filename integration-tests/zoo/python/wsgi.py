"""For any WSGI server."""
import time


def app(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if environ["PATH_INFO"] == "/slow":
        time.sleep(3)
    start_response("200 OK", [("content-type", "text/plain"), ("content-length", "5")])
    return [b"done\n"]
