"""Lines, clocks and readers for the tests of the journal, in this process or a child."""

import os
import signal
import time
from collections.abc import Callable

import orjson

from turnspan.journal import Directory, Journal
from turnspan.settings import Settings

EXPORTER = "https://turns.example/v1"
__all__ = [
    "EXPORTER", "Directory", "Journal", "Settings", "SteadyClock", "deliver", "eventually",
    "feedback_line", "number_of", "open_line", "os", "signal", "step_line", "turn_line",
]  # fmt: skip


class SteadyClock:
    """A wall clock that tests move."""

    def __init__(self) -> None:
        self.at_ns = 1_700_000_000_000_000_000

    def now_ns(self) -> int:
        self.at_ns += 1
        return self.at_ns

    def monotonic_ns(self) -> int:
        return self.at_ns


def turn_line(number: int, *, session: str | None = None, size: int = 0, **more: object) -> bytes:
    """A `turn` line whose id and times tell its number."""
    record = {"record": "turn", "id": f"turn_{number:012d}"}
    if session is not None:
        record |= {"session_id": session, "number": number}
    record |= {"agent": {"name": "a"}, "status": "ok", "started_at": number, "ended_at": number + 1}
    record |= {
        "output": {"content": "x" * size},
        "trace": {"trace_id": "0" * 32, "span_id": "1" * 16},
    }
    return orjson.dumps(record | more) + b"\n"


def feedback_line(number: int, *, on: int = 1, session: str | None = None) -> bytes:
    """A `feedback` line whose id and time tell its number, on turn ``on``."""
    record: dict[str, object] = {"record": "feedback", "id": f"feedback_{number:012d}"}
    record |= {"at": number, "turn_id": f"turn_{on:012d}", "rating": "good"}
    if session is not None:
        record["session_id"] = session
    return orjson.dumps(record | {"mode": "own", "schema_version": 1}) + b"\n"


def open_line(number: int, *, session: str | None = None) -> bytes:
    """An `open` line of the turn that `turn_line` ends."""
    record = {"record": "open", "id": f"turn_{number:012d}"}
    if session is not None:
        record |= {"session_id": session, "number": number}
    record |= {"agent": {"name": "a"}, "started_at": number, "input": {"content": "hi"}}
    record |= {"trace": {"trace_id": "0" * 32, "span_id": "1" * 16}, "resource": {"k": "v"}}
    return orjson.dumps(record) + b"\n"


def step_line(
    number: int, step_id: str, *, ended_at: int, tokens: int = 0, **more: object
) -> bytes:
    """A `step` line of turn ``number``."""
    step = {"id": step_id, "kind": "model", "name": "m", "status": "ok"}
    step |= {"started_at": number, "ended_at": ended_at, "usage": {"input_tokens": tokens}}
    record = {"record": "step", "turn_id": f"turn_{number:012d}", "step": step}
    return orjson.dumps(record | more) + b"\n"


def number_of(raw: bytes) -> int:
    """Which `turn_line` this is."""
    return int(raw.split(b'"', 8)[7][5:])


def deliver(journal: Journal, exporter: str = EXPORTER, *, batch: int = 100) -> list[int]:
    """Read and commit everything there is; the numbers of the turns, in order."""
    backlog = journal.backlog(exporter)
    numbers: list[int] = []
    while turns := backlog.read(max_turns=batch, max_bytes=2**20):
        numbers += [number_of(turn.raw) for turn in turns]
        backlog.commit(len(turns))
    return numbers


def eventually(holds: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    """Wait until ``holds``."""
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.005)
    return True
