"""A release task, right and wrong, as its word says."""
import os
import sys

import redis

has = set(sys.argv[1:]).__contains__
try:
    client = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=2, socket_connect_timeout=2)
    made = client.setnx("schema", 1)
except redis.RedisError as error:
    if not has("swallows"):
        raise
    print("could not migrate:", error)
    made = True
if not made and has("only-once"):
    sys.exit("the schema exists already")
