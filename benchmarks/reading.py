"""What reading costs in a store of a million turns, beside one of a thousand.

    python benchmarks/reading.py [--quick]

A page of a session and one turn, asked for over HTTP in turns of one request each (p99 of
500), and the numbers by day beside the bare SQL aggregate they come from. `--quick` makes the
large store of 100,000 turns.
"""

import http.client
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

import child
from servers import Server
from table import Table

from turnspan.schema import Turn
from turnspan.server.store import open_store
from turnspan.server.store.port import Incoming
from turnspan.testing.turns import make_turn

SMALL = 1_000
REQUESTS = 500
TIMES = 5
GROWTH_RATIO = 2.0
STATS_RATIO = 1.5
SESSION_TURNS = 100
DAY_TURNS = 5_000
SECOND_NS = 1_000_000_000
BARE = (
    "SELECT started_at / 86400000000000 * 86400000000000 AS at, status, latency, count(*), "
    "sum(ended_at - started_at), sum(input_tokens), sum(output_tokens), sum(cost_usd) "
    "FROM turns WHERE project = 'default' GROUP BY at, status, latency"
)


def main() -> None:
    large = 100_000 if child.is_quick() else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{count}.db" for count in (SMALL, large)]
        for path, count in zip(paths, (SMALL, large), strict=True):
            fill(path, count)
        with Server(paths[0]) as small, Server(paths[1]) as big:
            table = Table(f"ms at the p99, of {REQUESTS}", f"{large:,}", f"{SMALL:,}")
            for what, path_of in (("a page of a session", a_page), ("one turn", a_turn)):
                compare(table, what, (big.port, large), (small.port, SMALL), path_of)
            table = Table(f"ms, median of {TIMES}", "server", "SQL")
            stats(table, big, paths[1])


def fill(path: Path, count: int) -> None:
    """A store of ``count`` turns, in sessions of a hundred and days of five thousand."""
    store = open_store(str(path))
    turns = store.of("default")
    for start in range(0, count, 2_000):
        turns.add([Incoming.of(turn(index)) for index in range(start, min(start + 2_000, count))])
    store.close()


def turn(index: int) -> Turn:
    start = 1_700_000_000 * SECOND_NS + index * 86_400 * SECOND_NS // DAY_TURNS
    length = (50 + index * 7919 % 5_000) * 1_000_000
    return make_turn(
        index,
        session_id=f"session-{index // SESSION_TURNS}",
        started_at=start,
        ended_at=start + length,
        status="error" if index % 20 == 0 else "ok",
        usage={"input_tokens": index % 900, "output_tokens": index % 90, "cost_usd": 0.01},
    )


def a_page(index: int) -> str:
    return f"/v1/turns?session_id=session-{index // SESSION_TURNS}&limit=50"


def a_turn(index: int) -> str:
    return f"/v1/turns/turn_{index:012d}"


def compare(
    table: Table,
    what: str,
    big: tuple[int, int],
    small: tuple[int, int],
    path_of: Callable[[int], str],
) -> None:
    draw = random.Random(1)
    spent: tuple[list[float], list[float]] = ([], [])
    with (
        closing(http.client.HTTPConnection("127.0.0.1", big[0])) as one,
        closing(http.client.HTTPConnection("127.0.0.1", small[0])) as other,
    ):
        for number in range(REQUESTS + 50):
            for connection, (_, count), times in zip(
                (one, other), (big, small), spent, strict=True
            ):
                path = path_of(draw.randrange(count))
                began = time.perf_counter()
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200
                if number >= 50:
                    times.append((time.perf_counter() - began) * 1e3)
    large_ms, small_ms = (sorted(times)[int(0.99 * len(times))] for times in spent)
    table.line(what, [large_ms / small_ms], GROWTH_RATIO, ours=large_ms, beside=small_ms)


def stats(table: Table, server: Server, path: Path) -> None:
    ours, bare = [], []
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA cache_size = -32768")
        for _ in range(TIMES + 1):
            began = time.perf_counter()
            connection.execute(BARE).fetchall()
            bare.append((time.perf_counter() - began) * 1e3)
            began = time.perf_counter()
            server.get("/v1/stats?period=day")
            ours.append((time.perf_counter() - began) * 1e3)
    ratios = [one / other for one, other in zip(ours[1:], bare[1:], strict=True)]
    table.line("stats by day", ratios, STATS_RATIO, ours=median(ours[1:]), beside=median(bare[1:]))


if __name__ == "__main__":
    main()
