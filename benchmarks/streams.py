"""What recording a stream costs its consumer for each chunk, beside one span written by hand.

    python benchmarks/streams.py [--quick]

Streams of as many chunks as a long answer has alternate with the same generators undecorated;
what the latter cost is taken off. A span by hand is what a chunk would cost to note otherwise.
Each repetition is a fresh process.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from statistics import median
from typing import Any

import child
import workload
from table import Table

CHUNKS = 1000
WARM_ROUNDS = 3
TARGETS = {"text": 0.25, "text, async": 0.25, "bytes": 0.25, "dictionaries": None, "model": None}


def main() -> None:
    repeats, rounds = (1, 15) if child.is_quick() else (5, 50)
    table = Table(f"Consumer's us a chunk; median of {repeats}", "ours", "a span")
    runs = [child.measured(chunks, rounds=rounds) for _ in range(repeats)]
    for name, target in TARGETS.items():
        table.line(
            name,
            [run[name] / run["span"] for run in runs],
            target,
            ours=median(run[name] for run in runs),
            beside=median(run["span"] for run in runs),
        )


def chunks(rounds: int) -> dict[str, float]:
    """The median cost of a chunk of each kind, and of a span, in microseconds."""
    import turnspan

    agents = {
        "text": words,
        "text, async": words_async,
        "bytes": events,
        "dictionaries": rows,
        "model": deltas,
    }
    workload.recorded()
    ours = {name: turnspan.agent(make) for name, make in agents.items()}
    found: dict[str, list[float]] = {name: [] for name in (*agents, "span")}
    spans = spans_by_hand()
    for place in range(WARM_ROUNDS + rounds):
        for name, make in agents.items():
            spent_us = timed(ours[name]) - timed(make)
            if place >= WARM_ROUNDS:
                found[name].append(spent_us)
        if place >= WARM_ROUNDS:
            found["span"].append(timed(spans))
        turnspan.flush(timeout_s=60)
    return {name: median(row) for name, row in found.items()}


def timed(make: Callable[[], Any]) -> float:
    """Microseconds a chunk, read to the end."""
    stream = make()
    if hasattr(stream, "__aiter__"):
        return asyncio.run(timed_async(stream))
    start_s = time.perf_counter()
    for _ in stream:
        pass
    return (time.perf_counter() - start_s) / CHUNKS * 1e6


async def timed_async(stream: AsyncIterator[Any]) -> float:
    """`timed`, inside an event loop that is up."""
    start_s = time.perf_counter()
    async for _ in stream:
        pass
    return (time.perf_counter() - start_s) / CHUNKS * 1e6


def spans_by_hand() -> Callable[[], Iterator[None]]:
    """Makes a span with one attribute for each step; nothing is exported."""
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("bench")

    def spans() -> Iterator[None]:
        for number in range(CHUNKS):
            with tracer.start_as_current_span("chunk") as span:
                span.set_attribute("number", number)
            yield

    return spans


def words() -> Iterator[str]:
    for _ in range(CHUNKS):
        yield "word "


async def words_async() -> AsyncIterator[str]:
    for _ in range(CHUNKS):
        yield "word "


def events() -> Iterator[bytes]:
    for _ in range(CHUNKS):
        yield b"data: word\n\n"


def rows() -> Iterator[dict[str, Any]]:
    for number in range(CHUNKS):
        yield {"number": number, "text": "word"}


def deltas() -> Iterator[dict[str, Any]]:
    for _ in range(CHUNKS):
        choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
        yield {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


if __name__ == "__main__":
    main()
