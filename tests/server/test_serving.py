"""`turnspan serve` as a process of its own: started, flooded, killed, stopped."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from turnspan.schema import decode_turn, encode_turn
from turnspan.testing.turns import make_turn

STARTS_S = 120.0
PRODUCER = """
    import sys
    import turnspan

    @turnspan.tool
    def double(number):
        return 2 * number

    @turnspan.agent(name="counter")
    def counter(number):
        return double(number)

    turnspan.configure(
        exporters=[sys.argv[1]], directory=sys.argv[2], batch_turns=50, batch_delay_s=0.05
    )
    with turnspan.session(sys.argv[2]):
        for number in range(int(sys.argv[3])):
            counter(number)
    report = turnspan.flush(120.0)
    print(report.unsent)
"""


class Served:
    """A server process."""

    def __init__(self, *words: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TURNSPAN_", "OTEL_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "turnspan", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=kept,
        )
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline().decode()
        found = re.search(r"http://[^ ]+:(\d+)", self.said)
        assert found, self.said + self.process.stderr.read().decode()
        self.url, self.port = found[0], int(found[1])
        self._await()

    def _await(self) -> None:
        until = time.monotonic() + STARTS_S
        while True:
            with suppress(OSError):
                return self.get("/health/ready")
            assert time.monotonic() < until
            time.sleep(0.02)

    def get(self, path, key=None):
        return self.ask("GET", path, key=key)

    def ask(self, method, path, body=None, key=None, media_type="application/x-ndjson"):
        headers = {"content-type": media_type}
        if key:
            headers["authorization"] = f"Bearer {key}"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=240)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def exported(self):
        """The ids of all turns, in their order."""
        return [decode_turn(line).id for line in self.get("/v1/export")[1].splitlines()]

    def end(self, number=signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=120)
        return self.process.returncode


@pytest.fixture
def served(tmp_path, unconfigured) -> Iterator:
    """Starts `turnspan serve` with what is given, on SQLite unless it says otherwise."""
    started: list[Served] = []

    def served(*words: str, store: str = str(tmp_path / "turns.db"), port: int = 0) -> Served:
        named = ("--store", store, "--port", str(port), "--no-access-log")
        started.append(Served("serve", *named, *words))
        return started[-1]

    yield served
    for each in started:
        with each.process:
            each.process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_when_what_is_under_way_is_done(served, number):
    """A request that has begun is answered, then the process leaves with 0."""
    server = served()
    body = encode_turn(make_turn(1))
    head = b"POST /v1/turns HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-ndjson\r\n"
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=240)) as begun:
        begun.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body[:10])
        for _ in range(2):  # whoever came later is answered: the one before has begun
            server.get("/health/ready")
        server.process.send_signal(number)
        time.sleep(0.3)
        begun.sendall(body[10:])
        answer = b""
        while more := begun.recv(65536):
            answer += more
    server.process.communicate(timeout=120)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"status":"stored"' in answer
    assert server.process.returncode == 0


def test_what_was_acknowledged_survives_a_kill(served):
    """SIGKILL in the middle of a flood loses no turn that was answered for."""
    server = served()
    acknowledged: list[str] = []

    def flood(first):
        with suppress(OSError, http.client.HTTPException):
            for start in range(first, first + 10_000, 20):
                lines = [encode_turn(make_turn(index)) for index in range(start, start + 20)]
                _, answer = server.ask("POST", "/v1/turns", b"".join(lines))
                acknowledged.extend(each["id"] for each in json.loads(answer)["results"])

    threads = [threading.Thread(target=flood, args=(n * 10_000,)) for n in range(1, 4)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 600:
        time.sleep(0.01)
    server.end(signal.SIGKILL)
    for thread in threads:
        thread.join()

    held = served().exported()

    assert len(acknowledged) >= 600
    assert set(acknowledged) <= set(held)
    assert len(held) == len(set(held))


def test_deferred_work_is_done_after_a_kill(served, tmp_path):
    """SIGKILL in the middle of the work: the next process makes a turn of every exchange, once."""
    server = served()
    path = "/api/v1/agents/luna/sessions/s/turn"
    told = []
    for index in range(80):
        messages = [{"role": "user", "content": f"number {index}"}]
        body = json.dumps({"userId": "ada", "messages": messages})
        status, answer = server.ask("POST", path, body, media_type="application/json")
        assert status == 200
        told.append(json.loads(answer)["extraction_id"])
    server.end(signal.SIGKILL)
    with closing(sqlite3.connect(tmp_path / "turns.db")) as store, store:
        left = store.execute("SELECT count(*) FROM jobs WHERE state <> 'done'").fetchone()[0]
        store.execute("UPDATE jobs SET lease_until = 0 WHERE state = 'running'")  # five minutes on

    again = served()
    until = time.monotonic() + STARTS_S
    while len(held := again.exported()) < 80:
        assert time.monotonic() < until, held
        time.sleep(0.1)
    turns = [decode_turn(line) for line in again.get("/v1/export")[1].splitlines()]
    last = again.get(f"/api/v1/agents/luna/turns/{told[-1]}/status")[1]

    assert left > 0
    assert json.loads(last)["state"] in {"running", "done"}
    assert [turn.input.content for turn in turns] == [f"number {index}" for index in range(80)]
    assert sorted(turn.number for turn in turns) == list(range(1, 81))


def test_the_rest_arrives_after_a_kill(served, start, tmp_path):
    """Exporters whose server was killed deliver everything to the one that takes its place."""
    count = 1_500
    server = served()
    producers = [start(PRODUCER, server.url, f"journal-{n}", str(count)) for n in range(2)]
    while len(server.exported()) < 200:
        time.sleep(0.02)
    server.end(signal.SIGKILL)
    time.sleep(0.5)

    again = served(port=server.port)
    unsent = [producer.communicate(timeout=240)[0].strip() for producer in producers]
    held = again.exported()

    assert unsent == ["0", "0"]
    assert (len(held), len(set(held))) == (2 * count, 2 * count)


def test_two_servers_share_one_postgresql(served, start, make_database):
    """Producers at two servers on one database, some with the same turns: each is there once."""
    count = 400
    url = make_database()
    servers = [served(store=url), served(store=url)]
    same = [encode_turn(make_turn(index)) for index in range(1, 401)]
    producers = [
        start(PRODUCER, server.url, f"journal-{n}", str(count)) for n, server in enumerate(servers)
    ]

    def bring(server):
        for first in range(0, 400, 25):
            status, _ = server.ask("POST", "/v1/turns", b"".join(same[first : first + 25]))
            assert status == 200

    threads = [threading.Thread(target=bring, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    unsent = [producer.communicate(timeout=240)[0].strip() for producer in producers]
    held = [server.exported() for server in servers]

    assert unsent == ["0", "0"]
    assert held[0] == held[1]
    assert len(held[0]) == len(set(held[0])) == 2 * count + 400


def test_a_server_without_keys_stays_on_loopback(run, tmp_path):
    """It refuses to let others in before there is a key, and says how to make one."""
    said = subprocess.run(
        [sys.executable, "-m", "turnspan", "serve", "--host", "0.0.0.0", "--port", "0"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )

    assert said.returncode == 2
    assert said.stderr == (
        "turnspan: --host 0.0.0.0 would let others in, and there is no API key\n"
        "  fix: make one with `turnspan keys create`, or stay on --host 127.0.0.1\n"
    )


def test_with_a_key_it_listens_where_it_is_told(served, tmp_path):
    """A key made on the command line opens the server that listens everywhere, and only it does."""
    store = str(tmp_path / "turns.db")
    made = subprocess.run(
        [sys.executable, "-m", "turnspan", "keys", "create", "--store", store, "--json"],
        capture_output=True,
        timeout=240,
        check=True,
    )
    limits = ("--limits", "burst=5", "--limits", "requests_per_s=0.01")
    server = served("--host", "0.0.0.0", *limits, store=store)

    key = json.loads(made.stdout)["key"]

    assert server.get("/v1/turns")[0] == 401
    assert server.get("/v1/turns", key=key)[0] == 200
    assert [server.get("/v1/turns", key=key)[0] for _ in range(30)].count(429) > 0
