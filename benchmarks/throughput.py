"""Lossless throughput: turns a second that are produced, delivered and acknowledged.

    python benchmarks/throughput.py [--quick]

One process produces flat out, beside the plain OpenTelemetry SDK with its OTLP exporter,
which is flushed before its queue is full, so that it loses nothing either. The clock stops
when the last turn was acknowledged; fewer that arrived would be an error. The sides take
turns, each in a fresh process, and each repetition has its ratio.
"""

import itertools
import time
from collections.abc import Iterator
from statistics import median

import child
import workload
from sink import Sink
from table import Table
from workload import Agent, question

HAND_FLUSH_TURNS = 1000  # 2,000 spans: the queue of the batch processor holds 2,048
WARM_TURNS = 1000
EXPORTERS = {"HTTP exporter": ("", 3.5), "OTLP exporter": ("otlp+", 1.5)}


def main() -> None:
    repeats, turns = (1, 5000) if child.is_quick() else (5, 20_000)
    rows = [measure(turns, place) for place in range(repeats)]
    table = Table(f"Turns a second, all acknowledged; median of {repeats}", "ours", "SDK")
    for name, (scheme, target) in EXPORTERS.items():
        ratios = [row[scheme] / row[None] for row in rows]
        ours, theirs = (median(row[side] for row in rows) for side in (scheme, None))
        table.line(name, ratios, at_least=target, ours=ours, beside=theirs)


def measure(turns: int, place: int) -> dict[str | None, float]:
    """Turns a second of each side; another one begins at each ``place``."""
    sides = [None, *(scheme for scheme, _ in EXPORTERS.values())]
    first = place % len(sides)
    return {side: rate_in_child(side, turns) for side in sides[first:] + sides[:first]}


def rate_in_child(scheme: str | None, turns: int) -> float:
    with Sink() as sink:
        rate = child.measured(produce, scheme=scheme, endpoint=sink.url, turns=turns)
        arrived = sink.arrived()
    if arrived != WARM_TURNS + turns:
        raise RuntimeError(f"{arrived} of {WARM_TURNS + turns} turns arrived: that is a loss")
    return rate


def produce(scheme: str | None, endpoint: str, turns: int) -> float:
    """Turns a second; ``scheme`` None is the SDK."""
    if scheme is None:
        agent = workload.by_hand(workload.batching_provider(endpoint))
        every = HAND_FLUSH_TURNS
    else:
        agent, every = workload.recorded(scheme + endpoint), turns
    numbers = itertools.count()
    ask(agent, numbers, WARM_TURNS, every)
    start_s = time.perf_counter()
    ask(agent, numbers, turns, every)
    return turns / (time.perf_counter() - start_s)


def ask(agent: Agent, numbers: Iterator[int], turns: int, every: int) -> None:
    """Ask ``turns`` questions, and flush after ``every`` of them."""
    for start in range(0, turns, every):
        for number in itertools.islice(numbers, min(every, turns - start)):
            agent.ask(question(number))
        agent.flush()


if __name__ == "__main__":
    main()
