"""A database that can't grow: what was acknowledged is there, the rest is told so."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

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
