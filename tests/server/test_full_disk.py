"""A database that can't grow: what was acknowledged is there, the rest is told so."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

from turnspan.schema import encode_turn
from turnspan.server.store import open_store
from turnspan.server.store.port import Incoming, UnavailableError
from turnspan.testing.turns import make_turn

SPARE_PAGES = 30


def status_of(turns, turn):
    """What ``turns`` says of ``turn``."""
    try:
        return turns.add([Incoming.of(turn)])[0].status
    except UnavailableError:
        return "unavailable"


def test_a_turn_that_finds_no_room_takes_no_other_along(tmp_path):
    """Turns of one transaction: the one that fills the disk fails, those beside it are stored."""
    store = open_store(str(tmp_path / "turns.db"))
    turns, thread = store.of("ours"), store._backend._thread
    status_of(turns, make_turn(0))
    pages = thread.do_alone(lambda raw: raw.execute("PRAGMA page_count").fetchone()[0])
    thread.do_alone(lambda raw: raw.execute(f"PRAGMA max_page_count = {pages + SPARE_PAGES}"))
    noise = "".join(Random(1).choices("abc defghij", k=300_000))
    sent = [make_turn(1), make_turn(2, reasoning=noise), make_turn(3)]
    go_on = threading.Event()

    with ThreadPoolExecutor(4) as pool:
        pool.submit(thread.do, lambda _: go_on.wait(30))
        time.sleep(0.1)  # the writer is busy now: what comes next waits for one transaction
        told = []
        for turn in sent:
            told.append(pool.submit(status_of, turns, turn))
            time.sleep(0.05)
        go_on.set()
        statuses = [each.result() for each in told]
    kept = [turns.turn(turn.id) is not None for turn in sent]
    store.close()

    assert statuses == ["stored", "unavailable", "stored"]
    assert kept == [True, False, True]


def test_a_full_disk_is_called_so_in_the_log(serve, caplog):
    """Turns are refused with 503, what is there is read, and the log says why."""
    api = serve()
    thread = api.store._backend._thread
    pages = thread.do_alone(lambda raw: raw.execute("PRAGMA page_count").fetchone()[0])
    noise = "".join(Random(1).choices("abc defghij", k=300_000))
    kept = json.loads(encode_turn(make_turn(1)))
    assert api.post("/v1/turns", kept).status == 200
    thread.do_alone(lambda raw: raw.execute(f"PRAGMA max_page_count = {pages + SPARE_PAGES}"))

    refused = api.post("/v1/turns", kept | {"id": "turn_2", "reasoning": noise})
    read = api.get(f"/v1/turns/{kept['id']}")

    assert (refused.status, refused.json["code"]) == (503, "unavailable")
    assert refused.headers["retry-after"] == "1"
    assert read.json == kept
    assert "the store does not answer: SQLITE_FULL" in caplog.text
