"""Reads questions from standard input, a JSON object in each line: the expression of a schedule, a
time zone, moments to start after, and a number of times. Says for each, in a line of JSON, the next
times after each of the moments, by croniter."""

import datetime
import json
import multiprocessing
import sys
import zoneinfo

from croniter import croniter


def answer(line):
    asked = json.loads(line)
    zone = zoneinfo.ZoneInfo(asked["zone"])
    said = []
    for start in asked["starts"]:
        # Its "cron bug" is Vixie cron's rule for days.
        times = croniter(
            asked["expression"],
            datetime.datetime.fromtimestamp(start, zone),
            implement_cron_bug=True,
        )
        said.append([int(times.get_next(float)) for _ in range(asked["count"])])
    return json.dumps(said)


if __name__ == "__main__":
    with multiprocessing.Pool() as pool:
        for said in pool.imap(answer, sys.stdin, chunksize=50):
            print(said)
