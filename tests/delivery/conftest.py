"""A backlog in memory, exporters that do as told, and turns to deliver."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from turnspan.delivery.delivery import Delivery
from turnspan.ports import JournalledTurn, Outcome, Unsent
from turnspan.settings import Settings

NOW_NS = 1_790_000_000_000_000_000


class FixedClock:
    def now_ns(self) -> int:
        return NOW_NS

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class ListBacklog:
    """The `Backlog` port over a list."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.done = 0
        self.closed = False
        self.waits: list[tuple[float | None, int]] = []
        self._appended = 0
        self._seen = 0
        self._woken = False
        self._changed = threading.Condition()

    def add(self, *lines: bytes) -> None:
        with self._changed:
            self.lines += lines
            self._appended += sum(map(len, lines))
            self._changed.notify_all()

    def read(self, *, max_turns: int, max_bytes: int) -> Sequence[JournalledTurn]:
        with self._changed:
            self._seen = self._appended
            taken: list[JournalledTurn] = []
            for line in self.lines[self.done : self.done + max_turns]:
                if taken and max_bytes < len(line):
                    break
                max_bytes -= len(line)
                taken.append(JournalledTurn(line))
            return taken

    def commit(self, turns: int) -> None:
        with self._changed:
            self.done += turns

    def wait(self, timeout_s: float | None, *, min_bytes: int = 1) -> None:
        self.waits.append((timeout_s, min_bytes))
        with self._changed:
            target = self._seen + min_bytes
            self._changed.wait_for(lambda: self._woken or self._appended >= target, timeout_s)
            self._woken = False

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    @property
    def appended(self) -> int:
        return self._appended

    def unsent(self, *, count: bool = False) -> Unsent:
        waiting = self.lines[self.done :]
        return Unsent(
            size_bytes=sum(map(len, waiting)),
            turns=len(waiting) if count else None,
            oldest_at_ns=NOW_NS - 3_000_000_000 if waiting else None,
        )

    def close(self) -> None:
        self.closed = True


class ScriptedExporter:
    """Answers by ``answer(ids)``; without one it takes everything. Keeps what it saw."""

    def __init__(self, answer: Callable[[list[str]], Any] | None = None, name: str = "x:") -> None:
        self.name = name
        self.answer = answer
        self.calls: list[list[str]] = []
        self.times_s: list[float] = []
        self.timeouts_s: list[float] = []
        self.delivered: list[str] = []
        self.closed = 0

    def export(self, batch: Sequence[JournalledTurn], *, timeout_s: float) -> Any:
        ids = [turn.raw.split(b'"')[7].decode() for turn in batch]
        self.calls.append(ids)
        self.times_s.append(time.monotonic())
        self.timeouts_s.append(timeout_s)
        answer = self.answer(ids) if self.answer else Outcome()
        if isinstance(answer, Outcome) and answer.refused_whole is None:
            gone = {*answer.refused, *answer.unsent}
            self.delivered += [turn for i, turn in enumerate(ids) if i not in gone]
        return answer

    def close(self, *, timeout_s: float) -> None:
        self.closed += 1


def turn_line(number: int, size_bytes: int = 200) -> bytes:
    head = b'{"record":"turn","id":"turn_%08d","status":"ok","pad":"' % number
    return head + b"x" * max(0, size_bytes - len(head) - 3) + b'"}\n'


def turn_ids(*numbers: int) -> list[str]:
    return [f"turn_{number:08d}" for number in numbers]


@pytest.fixture
def line() -> Callable[..., bytes]:
    """A journalled line of the turn with this number."""
    return turn_line


@pytest.fixture
def ids() -> Callable[..., list[str]]:
    """The ids of the turns with these numbers."""
    return turn_ids


@pytest.fixture
def backlog() -> ListBacklog:
    return ListBacklog()


@pytest.fixture
def new_backlog() -> type[ListBacklog]:
    return ListBacklog


@pytest.fixture
def exporter() -> type[ScriptedExporter]:
    return ScriptedExporter


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def settings() -> Settings:
    return Settings(batch_delay_s=0.01, batch_turns=64, timeout_s=2.0)


@pytest.fixture
def deliver(settings: Settings, clock: FixedClock) -> Iterator[Callable[..., Delivery]]:
    """Builds and starts a delivery; it is closed when the test ends."""
    built: list[Delivery] = []

    def build(*routes: Any, dead: Any = None, durable: bool = True, **changes: Any) -> Delivery:
        from dataclasses import replace

        chosen = replace(settings, **changes)
        delivery = Delivery(routes, settings=chosen, clock=clock, dead=dead, durable=durable)
        built.append(delivery)
        delivery.start()
        return delivery

    yield build
    for delivery in built:
        delivery.close(0.2)


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Waits until a condition holds, and fails where it does not in time."""

    def wait(condition: Callable[[], Any], timeout_s: float = 60.0) -> None:
        until_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < until_s, "it did not happen in time"
            time.sleep(0.002)

    return wait


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff starts small, so that a test takes no seconds; log lines are heard anew."""
    from turnspan import notices
    from turnspan.delivery import retry

    monkeypatch.setattr(retry, "FIRST_S", 0.004)
    notices._said.clear()


@pytest.fixture(scope="session")
def fault_server() -> Any:
    """The module of the misbehaving server."""
    path = Path(__file__).parents[1] / "faults" / "server.py"
    spec = importlib.util.spec_from_file_location("turnspan_fault_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
