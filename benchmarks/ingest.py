"""What taking turns in costs the server, beside a bare loop that inserts the same rows.

    python benchmarks/ingest.py [--quick] [--beside phoenix=PYTHON] [--beside mlflow=PYTHON]

`POST /v1/turns` in one server process, batches of 200 over two connections, steps and search
index included; the loop is `executemany` on the same tables of the same SQLite, with the same
settings and a transaction a batch, its rows ready-made. They alternate, each on a new file.

`--beside` names the Python of an environment that has Phoenix or MLflow: it is given the same
turns over OTLP/HTTP. One that is not named is skipped.
"""

import http.client
import sqlite3
import tempfile
import threading
import time
import zlib
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import child
import rivals
from servers import Server
from table import Table

from turnspan.schema import Turn, encode_turn
from turnspan.testing.turns import sample_turns

BATCH = 200
TIME_RATIO = 1 / 0.35
RIVAL_RATIO = 1 / 10
CONNECTIONS = 2


def main() -> None:
    named = rivals.named()
    repeats, count = (1, 4_000) if child.is_quick() else (5, 20_000)
    turns = workload(count)
    ours, bare = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            bare.append(loop(Path(folder) / "bare.db", turns))
            ours.append(posted(Path(folder) / "ours.db", turns))
    table = Table(f"us a turn, of {count}; median of {repeats}", "server", "loop")
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    table.line(
        "POST /v1/turns", ratios, TIME_RATIO, ours=median(ours) * 1e6, beside=median(bare) * 1e6
    )
    for name, seconds in rivals.measured(named, turns[:2_000]):
        if seconds is None:
            print(f"{name}: not named with --beside, skipped")
        else:
            table.line(
                f"beside {name}, OTLP",
                [one / seconds for one in ours],
                RIVAL_RATIO,
                ours=median(ours) * 1e6,
                beside=seconds * 1e6,
            )


def workload(count: int) -> list[Turn]:
    """Turns of every kind, in sessions of ten."""
    return [
        turn.model_copy(update={"id": f"turn_{index:012d}", "session_id": f"s{index // 10}"})
        for index, turn in enumerate(sample_turns(count, seed=1))
    ]


def loop(path: Path, turns: list[Turn]) -> float:
    """Seconds a turn of the bare loop."""
    from turnspan.server.store import open_store, sqlite
    from turnspan.server.store.rows import searched_words, step_rows, turn_row

    open_store(str(path)).close()
    batches = []
    for start in range(0, len(turns), BATCH):
        some = list(enumerate(turns[start : start + BATCH], start + 1))
        sessions = {turn.session_id: turn for _, turn in some}
        batches.append(
            {
                "turns": [(seq, *turn_row(turn, "default", 1)) for seq, turn in some],
                "details": [(seq, encode_turn(turn)) for seq, turn in some],
                "steps": [row for seq, turn in some for row in step_rows(turn, "default", seq)],
                "turn_text (rowid, words)": [(seq, searched_words(turn)) for seq, turn in some],
                "sessions": [
                    (None, "default", id, "a", None, None, "{}", None, "{}", *([1] * 9))
                    for id in sessions
                ],
            }
        )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in sqlite._PRAGMAS:
            connection.execute(pragma)
        began = time.perf_counter()
        for batch in batches:
            connection.execute("BEGIN IMMEDIATE")
            for table, rows in batch.items():
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            connection.execute("COMMIT")
        return (time.perf_counter() - began) / len(turns)


def posted(path: Path, turns: list[Turn]) -> float:
    """Seconds a turn of the server."""
    bodies = [
        zlib.compress(b"".join(map(encode_turn, turns[start : start + BATCH])), 1, wbits=31)
        for start in range(0, len(turns), BATCH)
    ]
    with Server(path) as server:
        send(server.port, bodies[:1] * 5)  # the first request compiles statements; duplicates
        threads = [
            threading.Thread(target=send, args=(server.port, bodies[1 + start :: CONNECTIONS]))
            for start in range(CONNECTIONS)
        ]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent = time.perf_counter() - began
        stored = server.count()
    assert stored == len(turns), f"{stored} of {len(turns)} turns stored"
    return spent / (len(turns) - BATCH)


def send(port: int, bodies: list[Any]) -> None:
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        for body in bodies:
            connection.request("POST", "/v1/turns", body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status


if __name__ == "__main__":
    main()
