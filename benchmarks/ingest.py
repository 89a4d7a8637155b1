"""What taking turns in costs the server, beside a bare loop that inserts the same rows.

    python benchmarks/ingest.py [--quick] [--beside phoenix=PYTHON] [--beside mlflow=PYTHON]

`POST /v1/turns` in one server process, batches of 200 over two connections, steps and search
index included; the loop is `executemany` on the same tables of the same SQLite, with the same
settings and a transaction a batch, its rows ready-made. They alternate, each on a new file.

Phoenix and MLflow, where `make test-tools` installed them or `--beside` names the Python of an
environment that has one, are given the same turns over OTLP/HTTP, in batches of 200 as well; the
clock runs until the last turn can be found there. One that is not here is skipped.
"""

import sqlite3
import tempfile
import time
import zlib
from contextlib import closing
from pathlib import Path
from statistics import median

import child
import rivals
from posting import posted
from servers import Server
from table import Table

from turnspan.schema import Turn, encode_turn
from turnspan.testing.turns import sample_turns

BATCH = 200
TIME_RATIO = 1 / 0.35
RIVAL_RATIO = 1 / 10
HEADERS = {"content-type": "application/x-ndjson"}


def main() -> None:
    pythons = rivals.installed()
    repeats, count = (1, 4_000) if child.is_quick() else (5, 20_000)
    turns = workload(count)
    ours, bare = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            bare.append(loop(Path(folder) / "bare.db", turns))
            ours.append(served(Path(folder) / "ours.db", turns))
    table = Table(f"us a turn, of {count}; median of {repeats}", "server", "loop")
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    table.line(
        "POST /v1/turns", ratios, TIME_RATIO, ours=median(ours) * 1e6, beside=median(bare) * 1e6
    )
    for name, seconds in rivals.measured(pythons, turns[:2_000]):
        if seconds is None:
            print(f"{name}: not installed (`make test-tools` does it), skipped")
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
    from turnspan.server.store.port import Incoming

    open_store(str(path)).close()
    batches = []
    for start in range(0, len(turns), BATCH):
        came = [Incoming.of(turn) for turn in turns[start : start + BATCH]]
        some = list(enumerate(came, start + 1))
        sessions = {turn.row.session_id: turn for turn in came}
        batches.append(
            {
                "turns": [(seq, "default", *turn.row, 1) for seq, turn in some],
                "details": [(seq, turn.raw) for seq, turn in some],
                "steps": [
                    (seq, position, "default", *step)
                    for seq, turn in some
                    for position, step in enumerate(turn.steps)
                ],
                "turn_text (rowid, words)": [(seq, turn.words) for seq, turn in some],
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


def served(path: Path, turns: list[Turn]) -> float:
    """Seconds a turn of the server."""
    bodies = [
        zlib.compress(b"".join(map(encode_turn, turns[start : start + BATCH])), 1, wbits=31)
        for start in range(0, len(turns), BATCH)
    ]
    with Server(path) as server:
        # The first request compiles statements; what comes again is known.
        posted(server.port, "/v1/turns", bodies[:1] * 5, HEADERS)
        began = time.perf_counter()
        posted(server.port, "/v1/turns", bodies[1:], HEADERS)
        spent = time.perf_counter() - began
        stored = server.count()
    assert stored == len(turns), f"{stored} of {len(turns)} turns stored"
    return spent / (len(turns) - BATCH)


if __name__ == "__main__":
    main()
