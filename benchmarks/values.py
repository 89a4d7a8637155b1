"""What large values cost the caller, beside what the standard library takes for a small one.

    python benchmarks/values.py [--quick]

Each value is the argument of an agent that does nothing; what is told is the whole call, its
turn in the journal. Strings stand beside `json.dumps` of a string of 1 MB, object graphs beside
`json.dumps` of a list of 100,000 integers. Ours and the reference alternate in one process;
each repetition is a fresh one. Lines without a target are there to be watched.
"""

import itertools
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import child
from table import Table

MB = 1_000_000
NODES = 1_000_000
SENTENCE = "The quick brown fox jumps over the lazy dog, and at noon it rests by the river. "
SECRETS = "Write to ada@example.com, key sk-proj-0123456789abcdefghij, card 4111 1111 1111 1111. "
PATTERNS = ("api_key", "bearer", "email", "card", "private_key")
TARGETS = {
    "50 MB string": 1.0,
    "50 MB string, not ASCII": None,
    "20 MB string, redaction": 3.0,
    "20 MB with secrets, redaction": None,
    "million nodes, lists": 1.0,
    "million nodes, mappings": 1.0,
    "million nodes, objects": 1.0,
    "million nodes, slots": 1.0,
}


def main() -> None:
    repeats, rounds = (1, 5) if child.is_quick() else (5, 15)
    table = Table(f"Caller's ms a call; median of {repeats}", "ours", "json.dumps")
    for name, target in TARGETS.items():
        runs = [child.measured(record, name=name, rounds=rounds) for _ in range(repeats)]
        ours, beside = (median(column) for column in zip(*runs, strict=True))
        ratios = [one / other for one, other in runs]
        table.line(name, ratios, target, ours=ours, beside=beside)


def record(name: str, rounds: int) -> tuple[float, float]:
    """ms of a call that is recorded with the value ``name``, and of the reference."""
    import turnspan

    patterns = PATTERNS if "redaction" in name else ()
    turnspan.configure(directory="turns", policy=turnspan.Policy(patterns=patterns))
    work = turnspan.agent(name="work")(answer)
    value, reference = VALUES[name](), REFERENCES[" MB " in name]()
    found: list[tuple[float, float]] = []
    for _ in range(1 + rounds):
        found.append((spent_ms(work, value), spent_ms(json.dumps, reference)))
    ours, beside = (median(column) for column in zip(*found[1:], strict=True))
    return ours, beside


def answer(value: Any) -> None:
    """What an agent does that does nothing."""


def spent_ms(call: Callable[[Any], Any], value: Any) -> float:
    start_ns = time.perf_counter_ns()
    call(value)
    return (time.perf_counter_ns() - start_ns) / 1e6


def text(size: int, sentence: str = SENTENCE) -> str:
    return (sentence * (size // len(sentence) + 1))[:size]


class Item:
    """An object of four fields, one of which leads on."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = "item"
        self.price = 1.5
        self.parts: list[Any] = []


class Slotted:
    """The same, without an instance dictionary."""

    __slots__ = ("name", "number", "parts", "price")

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = "item"
        self.price = 1.5
        self.parts: list[Any] = []


def mapping(number: int) -> dict[str, Any]:
    return {"number": number, "name": "item", "price": 1.5, "parts": []}


def graph(make: Callable[[int], Any], parts: Callable[[Any], list[Any]], nodes: int = NODES) -> Any:
    """A tree of things of five nodes each, twelve of them below each."""
    numbers = itertools.count()
    top = make(next(numbers))
    waiting = [top]
    made = 1
    while made * 5 < nodes:
        thing = waiting.pop(0)
        below = [make(next(numbers)) for _ in range(12)]
        parts(thing).extend(below)
        waiting += below
        made += len(below)
    return top


VALUES: dict[str, Callable[[], Any]] = {
    "50 MB string": lambda: text(50 * MB),
    "50 MB string, not ASCII": lambda: text(50 * MB, "Grüße aus Köln, 日本語も少し。 "),
    "20 MB string, redaction": lambda: text(20 * MB),
    "20 MB with secrets, redaction": lambda: text(20 * MB, SENTENCE * 100 + SECRETS),
    "million nodes, lists": lambda: [[list(range(100))] * 100 for _ in range(100)],
    "million nodes, mappings": lambda: graph(mapping, lambda thing: thing["parts"]),
    "million nodes, objects": lambda: graph(Item, lambda thing: thing.parts),
    "million nodes, slots": lambda: graph(Slotted, lambda thing: thing.parts),
}
REFERENCES: dict[bool, Callable[[], Any]] = {
    True: lambda: text(MB),
    False: lambda: list(range(100_000)),
}


if __name__ == "__main__":
    main()
