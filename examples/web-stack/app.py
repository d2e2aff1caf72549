"""A web app that needs a database and a cache.

/         records a visit in the database, and counts the visits there and in the cache
/healthz  asks the database and the cache: can the app do its work?
/ping     asks nothing else: does the app answer at all?
"""

import psycopg2
import redis

# libpq reads the host, the user and the password from PGHOST, PGUSER and PGPASSWORD. No code
# here waits for the database or connects again: trc starts the app when the database is ready,
# and restarts it with the database.
db = psycopg2.connect("")
db.autocommit = True
# Connects when it is first used, and again after the cache has restarted.
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
        status, text = "200 OK", page()  # An exception becomes a 500 and a line in the log.
    body = text.encode()
    respond(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
