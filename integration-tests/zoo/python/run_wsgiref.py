"""The server of the standard library for WSGI, one request at a time."""
import os
from wsgiref.simple_server import make_server

from wsgi import app

make_server("0.0.0.0", int(os.environ["PORT"]), app).serve_forever()
