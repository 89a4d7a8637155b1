"""What recording a turn costs, beside two spans written by hand.

    python benchmarks/overhead.py [--quick]

Chunks of turns alternate in one process, so that all meet the same machine: its speed may
change, the ratio doesn't. Each repetition is a fresh process. What was recorded is delivered
between the chunks: outside the clock for the caller's cost, within it for CPU.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

import child
import workload
from sink import Sink
from table import Table
from workload import Agent, question

CHUNK = 200
CPU_CHUNK = 400  # 800 spans: what the batch processor takes without dropping any
WARM_ROUNDS = 3
MODES = {
    "own mode, OTLP exporter": ("own", 0.35),
    "live mode": ("live", 1.4),
    "live mode, content on spans": ("live with content", 1.4),
}
EXPORTERS = {"HTTP exporter": ("", 0.45), "OTLP exporter": ("otlp+", 0.8)}


def main() -> None:
    repeats, rounds = (1, 8) if child.is_quick() else (5, 25)
    table = Table(f"Caller's p50 a turn, in us; median of {repeats}", "ours", "by hand")
    for name, (mode, target) in MODES.items():
        runs = [caller_in_child(mode, rounds) for _ in range(repeats)]
        for kind in ("sync", "async"):
            judge(table, f"{name}, {kind}", [run[kind] for run in runs], target)
    print(f"the work alone: {median(run['bare'] for run in runs):.2f}")
    table = Table(f"CPU a turn until delivered, in us; median of {repeats}", "ours", "by hand")
    for name, (scheme, target) in EXPORTERS.items():
        judge(table, name, [cpu_in_child(scheme, rounds) for _ in range(repeats)], target)


def caller_in_child(mode: str, rounds: int) -> dict[str, Any]:
    with Sink() as sink:
        return child.measured(caller, mode=mode, endpoint=sink.url, rounds=rounds)


def caller(mode: str, endpoint: str, rounds: int) -> dict[str, Any]:
    """The caller's p50 of a call, sync and async, and of the work alone."""
    provider = workload.batching_provider(endpoint)
    agents = {"hand": workload.by_hand(provider), "bare": workload.bare()}
    agents["ours"] = own(endpoint) if mode == "own" else live(provider, content=mode != "live")
    numbers = itertools.count()
    rows = []
    for place in range(WARM_ROUNDS + rounds):
        rows.append({})
        for name in alternating(agents, place):
            rows[-1]["sync", name] = chunk(agents[name], numbers)
            rows[-1]["async", name] = asyncio.run(chunk_async(agents[name], numbers))
    rows = rows[WARM_ROUNDS:]
    answer = {kind: compared(rows, kind) for kind in ("sync", "async")}
    return answer | {"bare": median(row["sync", "bare"] for row in rows)}


def own(endpoint: str, scheme: str = "otlp+") -> Agent:
    """Our spans, made off the caller's path from the journal."""
    return workload.recorded(scheme + endpoint)


def live(provider: Any, *, content: bool) -> Agent:
    """Our turns in the journal, our spans through the application's provider."""
    from opentelemetry import trace

    trace.set_tracer_provider(provider)
    ours = workload.recorded(spans="live", span_content=content)
    return Agent(ours.ask, ours.ask_async, provider.force_flush)


def chunk(agent: Agent, numbers: Iterator[int]) -> float:
    """The p50 of a chunk of calls, in microseconds; then all of it is delivered."""
    clock, spent_ns = time.perf_counter_ns, []
    for number in itertools.islice(numbers, CHUNK):
        text = question(number)
        start_ns = clock()
        agent.ask(text)
        spent_ns.append(clock() - start_ns)
    agent.flush()
    return median(spent_ns) / 1000


async def chunk_async(agent: Agent, numbers: Iterator[int]) -> float:
    """`chunk`, awaited."""
    clock, spent_ns = time.perf_counter_ns, []
    for number in itertools.islice(numbers, CHUNK):
        text = question(number)
        start_ns = clock()
        await agent.ask_async(text)
        spent_ns.append(clock() - start_ns)
    agent.flush()
    return median(spent_ns) / 1000


def compared(rows: Sequence[dict[tuple[str, str], float]], kind: str) -> dict[str, float]:
    """Ours beside theirs: each round has a ratio, and the median of those is the figure."""
    pairs = [(row[kind, "ours"], row[kind, "hand"]) for row in rows]
    return {
        "ours": median(ours for ours, _ in pairs),
        "hand": median(hand for _, hand in pairs),
        "ratio": median(ours / hand for ours, hand in pairs),
    }


def cpu_in_child(scheme: str, rounds: int) -> dict[str, Any]:
    with Sink() as sink:
        found = child.measured(cpu, scheme=scheme, endpoint=sink.url, rounds=rounds)
        arrived = sink.arrived()
    if arrived != found["turns"]:
        raise RuntimeError(f"{arrived} of {found['turns']} turns arrived: that is no comparison")
    return found


def cpu(scheme: str, endpoint: str, rounds: int) -> dict[str, float]:
    """CPU of all threads a turn, until the last is delivered."""
    hand = workload.by_hand(workload.batching_provider(endpoint))
    agents = {"hand": hand, "ours": own(endpoint, scheme)}
    numbers = itertools.count()
    spent_s = dict.fromkeys(agents, 0.0)
    for place in range(WARM_ROUNDS + rounds):
        for name in alternating(agents, place):
            start_s = time.process_time()
            for number in itertools.islice(numbers, CPU_CHUNK):
                agents[name].ask(question(number))
            agents[name].flush()
            if place >= WARM_ROUNDS:
                spent_s[name] += time.process_time() - start_s
    each_us = {name: total_s / rounds / CPU_CHUNK * 1e6 for name, total_s in spent_s.items()}
    return each_us | {"ratio": each_us["ours"] / each_us["hand"], "turns": next(numbers)}


def alternating(agents: dict[str, Agent], place: int) -> list[str]:
    """Their names, in another order each round: nobody always comes first."""
    names = list(agents)
    first = place % len(names)
    return names[first:] + names[:first]


def judge(table: Table, name: str, runs: Sequence[dict[str, float]], target: float) -> None:
    table.line(
        name,
        [run["ratio"] for run in runs],
        target,
        ours=median(run["ours"] for run in runs),
        beside=median(run["hand"] for run in runs),
    )


if __name__ == "__main__":
    main()
