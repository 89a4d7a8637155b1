"""Bounds: what is large is kept in part, says so, and delays nobody for long."""

import time
from collections.abc import Iterator
from typing import Any

from turnspan.testing.decorator_rules import nasties
from turnspan.testing.decorator_rules.passage import goes_through
from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []

PATIENTLY_S = 5.0
TEXT_CHARS = 50_000_000
BOUND_CHARS = 25_000_000


@rule()
def a_long_text(trial: Trial) -> None:
    """A text of 50 MB, given and answered, is kept in bounds and delays no call for long."""
    _bounded(trial, "x" * TEXT_CHARS)


@rule()
def a_large_graph(trial: Trial) -> None:
    """A graph of a million nodes is kept in bounds and delays no call for long."""
    _bounded(trial, nasties.million_nodes())


@rule()
def a_long_stream(trial: Trial) -> None:
    """A stream of 50 MB is kept in bounds and delays nobody for long."""
    chunk = "x" * (TEXT_CHARS // 50)

    def giving() -> Iterator[str]:
        for _ in range(50):
            yield chunk

    stream = trial.outermost(giving)
    trial.mark()
    started_s = time.monotonic()
    count = sum(1 for _ in stream())
    took_s = time.monotonic() - started_s
    require(count == 50, f"of 50 chunks {count} came out")
    _require_bounds(trial, "giving", took_s)


@rule("records", "cut")
def what_is_cut(trial: Trial) -> None:
    """Where a value is too long, too large or too deep to be kept, the record says so."""
    given = {"long": "x" * TEXT_CHARS, "large": nasties.million_nodes(), "deep": nasties.deep()}
    for kind in trial.kinds:
        for what, value in given.items():
            goes_through(trial, kind, value)
            said = f"{kind}: nothing says that an input was too {what}"
            require(trial.record("taking").is_cut, said)


def _bounded(trial: Trial, value: Any) -> None:
    for kind in trial.kinds:
        started_s = time.monotonic()
        goes_through(trial, kind, value)
        took_s = time.monotonic() - started_s
        _require_bounds(trial, "taking", took_s)


def _require_bounds(trial: Trial, name: str, took_s: float) -> None:
    require(took_s < PATIENTLY_S, f"the calls took {took_s:.1f} s")
    if not trial.can("records"):
        return
    record = trial.record(name)
    for what, said in (("input", record.input), ("output", record.output)):
        size = len(said or "")
        require(size < BOUND_CHARS, f"the {what} is recorded whole: {size / 1e6:.0f} MB")
