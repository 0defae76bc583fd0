"""waitress as its documentation starts it."""
import os

from waitress import serve
from wsgi import app

serve(app, port=int(os.environ["PORT"]))
