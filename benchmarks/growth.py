"""How a turn grows with its model calls: 200 of them beside 100, each given all before.

    python benchmarks/growth.py [--quick]

Each call is given the whole list of messages, of 1 KB each, and adds two. What is recorded
of a turn should grow with its messages, not with their square. Turns of both lengths
alternate in one process; each repetition is a fresh one.

OTLP has no target: the conventions want the whole input on every model call's span, so what
is sent grows with the square whoever writes it.
"""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import child
from sink import Sink
from table import Table

LENGTHS = (100, 200)
MESSAGE_CHARS = 1000
BYTES_RATIO = 2.2
CPU_RATIO = 2.7
EXPORTERS = {
    "journal alone": (None, CPU_RATIO),
    "HTTP exporter": ("", CPU_RATIO),
    "OTLP exporter": ("otlp+", None),
}
DIRECTORY = "turns"


def main() -> None:
    repeats, rounds = (1, 3) if child.is_quick() else (5, 9)
    table = Table(f"200 model calls beside 100; median of {repeats}", "200", "100")
    for name, (scheme, target) in EXPORTERS.items():
        with Sink() as sink:
            exporters = [] if scheme is None else [scheme + sink.url]
            runs = [
                child.measured(grow, exporters=exporters, rounds=rounds) for _ in range(repeats)
            ]
        if scheme is None:
            judge(table, "KB journalled", [run["kb"] for run in runs], BYTES_RATIO)
        judge(table, f"ms of CPU, {name}", [run["ms"] for run in runs], target)


def grow(exporters: list[str], rounds: int) -> dict[str, tuple[float, float]]:
    """KB journalled and ms of CPU until delivered, of a short turn and a long one."""
    import turnspan

    turnspan.configure(exporters=exporters, directory=DIRECTORY)
    converse = conversation(turnspan.agent, turnspan.model)
    numbers = itertools.count()
    found: dict[int, list[tuple[float, float]]] = {length: [] for length in LENGTHS}
    for _, length in itertools.product(range(1 + rounds), LENGTHS):
        size_bytes, start_s = journalled_bytes(), time.process_time()
        converse(length, numbers)
        turnspan.flush(timeout_s=60)
        spent_s = time.process_time() - start_s
        found[length].append(((journalled_bytes() - size_bytes) / 1000, spent_s * 1000))
    columns = {
        length: [median(column) for column in zip(*rows[1:], strict=True)]
        for length, rows in found.items()
    }
    return dict(zip(("kb", "ms"), zip(*columns.values(), strict=True), strict=True))


def conversation(agent: Any, model: Any) -> Any:
    """An agent that asks its model as often as it is told, with all that was said before."""

    @model
    def reply(messages: list[dict[str, str]]) -> dict[str, str]:
        return {"role": "assistant", "content": f"reply {len(messages)} ".ljust(MESSAGE_CHARS, "r")}

    @agent
    def converse(calls: int, numbers: Iterator[int]) -> str:
        messages: list[dict[str, str]] = []
        for number in itertools.islice(numbers, calls):
            asked = f"question {number} ".ljust(MESSAGE_CHARS, "q")
            messages.append({"role": "user", "content": asked})
            messages.append(reply(messages))
        return messages[-1]["content"]

    return converse


def journalled_bytes() -> int:
    return sum(path.stat().st_size for path in Path(DIRECTORY, "journal").iterdir())


def judge(table: Table, name: str, runs: list[tuple[float, float]], target: float | None) -> None:
    short, long = (median(column) for column in zip(*runs, strict=True))
    table.line(name, [two / one for one, two in runs], target, ours=long, beside=short)


if __name__ == "__main__":
    main()
