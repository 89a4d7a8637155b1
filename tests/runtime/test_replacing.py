"""A runtime that another one replaces leaves nothing behind that only the end would free."""

from __future__ import annotations

import gc
import time
import weakref
from contextvars import copy_context

import turnspan

TIMEOUT_S = 30.0
SHORT_S = 0.3


def test_what_a_runtime_could_not_deliver_the_next_one_does(ask, turns_api):
    """It need not wait for the next look, half a minute later; a flush knows of it."""
    turns_api.be("down")
    turnspan.configure(exporters=[turns_api.url], directory="journal", exit_s=SHORT_S)
    ask("one")
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    turns_api.be("ok")

    assert turnspan.flush(TIMEOUT_S).unsent == 0
    assert len(turns_api.ids) == 1


def test_a_runtime_replaced_inside_a_turn_holds_nothing_back(turns_api, run):
    """What it had adopted is the next one's at once, its own turns when none is open any more."""
    turns_api.be("down")
    run(f"""
        import os, turnspan
        turnspan.configure(exporters=[{turns_api.url!r}], directory="journal")
        turnspan.agent(len)("left")
        os._exit(0)
    """)
    first = turnspan.configure(exporters=[turns_api.url], directory="journal", exit_s=SHORT_S)

    @turnspan.agent
    def replacing(question):
        assert first.flush(SHORT_S).unsent == 1
        turnspan.configure(exporters=[turns_api.url], directory="journal")

    replacing("one")
    turns_api.be("ok")
    flushed = turnspan.flush(TIMEOUT_S)
    until_s = time.monotonic() + TIMEOUT_S
    while first.journal.log.chain.owner is not None and time.monotonic() < until_s:
        time.sleep(0.05)
    turnspan.close()
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    later = turnspan.flush(TIMEOUT_S)

    assert (flushed.unsent, later.unsent) == (0, 0)
    assert len(turns_api.ids) == 2


def test_a_turn_that_nobody_ends_keeps_no_journal():
    """When its context is gone, so is the thread that waited for it."""

    def begun():
        first = turnspan.configure(directory="journal")
        turnspan.turn(agent="forgotten").__enter__()
        turnspan.configure(directory="journal")
        return weakref.ref(first.journal)

    journal = copy_context().run(begun)
    until_s = time.monotonic() + TIMEOUT_S
    while journal() is not None and time.monotonic() < until_s:
        gc.collect()
        time.sleep(0.1)

    assert journal() is None
