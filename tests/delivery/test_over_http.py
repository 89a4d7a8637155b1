"""Delivery and the HTTP exporter together, against a server that misbehaves."""

import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from turnspan.delivery.dead import DeadLetters
from turnspan.delivery.health import FlushReport
from turnspan.exporters.http import HttpExporter

PATIENCE_S = 20.0  # for what is waited for: a busy machine needs its time


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """The machine's own proxies play no part."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server(fault_server):
    with fault_server.FaultServer() as server:
        yield server


@pytest.mark.parametrize(
    "mode, options",
    [
        ("status", {"status": 401}),
        ("status", {"status": 403}),
        ("status", {"status": 404}),
        ("status", {"status": 408}),
        ("status", {"status": 425}),
        ("status", {"status": 429, "retry_after": "0"}),
        ("status", {"status": 503}),
        ("garbage", {}),
        ("half_closing", {}),
        ("silent", {}),
    ],
)
def test_everything_arrives_once_after_a_fault(deliver, backlog, line, ids, server, mode, options):
    """Whatever the destination does three times, each turn arrives, in order, whole."""
    server.be(mode, times=3, **options)
    backlog.add(*map(line, range(40)))
    timeout_s = 1.0 if mode == "silent" else PATIENCE_S
    delivery = deliver((HttpExporter(server.url), backlog), timeout_s=timeout_s)
    report = delivery.flush(PATIENCE_S)
    delivery.close(1.0)

    assert report == FlushReport(delivered=40)
    assert server.ids == ids(*range(40))
    assert len(server.state.requests) == 4
    assert {len(request.ids) for request in server.state.requests} == {40}


def test_a_server_that_comes_up_late_gets_everything(deliver, backlog, line, ids, server):
    """Refused connections are a fault of the destination."""
    server.be("down")
    backlog.add(*map(line, range(40)))
    delivery = deliver((HttpExporter(server.url), backlog))
    while not delivery.health()[server.url].failing:
        time.sleep(0.002)
    server.be("ok")

    assert delivery.flush(PATIENCE_S) == FlushReport(delivered=40)
    assert server.ids == ids(*range(40))
    delivery.close(1.0)


def test_an_oversized_turn_costs_its_neighbours_nothing(
    deliver, backlog, line, ids, server, tmp_path
):
    """413 halves the batch; only the turn that is too large by itself is refused."""
    server.be("too_large", limit_bytes=2000)
    dead = DeadLetters(tmp_path)
    backlog.add(*(line(n, 5000 if n == 7 else 200) for n in range(20)))
    delivery = deliver((HttpExporter(server.url), backlog), dead=dead)
    report = delivery.flush(PATIENCE_S)
    delivery.close(1.0)

    assert report == FlushReport(delivered=19, refused=1)
    assert server.ids == [turn for turn in ids(*range(20)) if turn not in ids(7)]
    assert [(letter.id, letter.reason[:4]) for letter in dead.list()] == [(ids(7)[0], "413 ")]


@pytest.mark.parametrize("status", [422, 500])
def test_a_poisonous_turn_is_isolated(deliver, backlog, line, ids, server, tmp_path, status):
    """Refused or a crash of the server: the others arrive, it becomes a dead letter."""
    (poison,) = ids(11)
    server.be("poison", ids=(poison,), status=status)
    dead = DeadLetters(tmp_path)
    backlog.add(*map(line, range(30)))
    delivery = deliver((HttpExporter(server.url), backlog), dead=dead)
    report = delivery.flush(PATIENCE_S)
    delivery.close(1.0)

    assert report == FlushReport(delivered=29, refused=1)
    assert server.ids == [turn for turn in ids(*range(30)) if turn != poison]
    assert [letter.id for letter in dead.list()] == [poison]


def test_items_refused_in_the_answer_become_dead_letters(
    deliver, backlog, line, ids, server, tmp_path
):
    """One request is enough."""
    server.be("refuse", ids=tuple(ids(1, 3)))
    dead = DeadLetters(tmp_path)
    backlog.add(*map(line, range(5)))
    delivery = deliver((HttpExporter(server.url), backlog), dead=dead)
    report = delivery.flush(PATIENCE_S)
    delivery.close(1.0)

    assert report == FlushReport(delivered=3, refused=2)
    assert [(letter.id, letter.reason) for letter in dead.list()] == [
        (turn, "not wanted") for turn in ids(1, 3)
    ]
    assert len(server.state.requests) == 1


def test_the_server_runs_as_a_process_of_its_own(deliver, backlog, line, ids):
    """Its control address changes the mode and tells what arrived."""
    program = Path(__file__).parents[1] / "faults" / "server.py"
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as process:
        where = json.loads(process.stdout.readline())

        def ask(path):
            with build_opener(ProxyHandler({})).open(where["control"] + path) as answer:
                return json.load(answer)

        ask("/be?mode=status&status=503&times=1")
        backlog.add(*map(line, range(3)))
        delivery = deliver((HttpExporter(where["url"]), backlog))
        report = delivery.flush(PATIENCE_S)
        delivery.close(1.0)
        stats, arrived = ask("/stats"), ask("/ids")
        ask("/quit")

    assert report == FlushReport(delivered=3)
    assert stats == {"stored": 3, "duplicates": 0, "requests": 2, "mode": "ok"}
    assert arrived == ids(0, 1, 2)
