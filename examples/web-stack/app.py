"""A web app that needs a database and a cache.

/         writes the visit into the database, and counts it there and in the cache
/healthz  whether it can do its work: asks the database and the cache
/ping     whether it answers at all
"""

import psycopg2
import redis

# Where the database is, who asks and with which password: libpq's own PGHOST, PGUSER,
# PGPASSWORD. There is no code here to wait for it or to connect again: trc starts the
# app when the database is ready, and restarts it with the database.
db = psycopg2.connect("")
db.autocommit = True
# Connects when it is first used, and again when the cache was restarted.
cache = redis.Redis(unix_socket_path="/run/redis/redis.sock")


def visit():
    with db.cursor() as cursor:
        cursor.execute("INSERT INTO visits DEFAULT VALUES")
        cursor.execute("SELECT count(*) FROM visits")
        (visits,) = cursor.fetchone()
    return f"visit {visits}, {cache.incr('visits')} since the cache started\n"


def healthz():
    with db.cursor() as cursor:
        cursor.execute("SELECT FROM visits LIMIT 1")
    cache.ping()
    return "the database and the cache are there\n"


def ping():
    return "here\n"


PAGES = {"/": visit, "/healthz": healthz, "/ping": ping}


def app(request, respond):
    page = PAGES.get(request["PATH_INFO"])
    if page is None:
        status, text = "404 Not Found", "no such page\n"
    else:
        status, text = "200 OK", page()  # What it raises is a 500, and a line in the log.
    body = text.encode()
    respond(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
