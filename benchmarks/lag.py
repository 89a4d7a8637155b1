"""Whom delivery keeps waiting: an event loop, a caller in a burst, an idle processor.

    python benchmarks/lag.py [--quick]

- A loop sleeps a millisecond at a time, first without turnspan, then while it delivers what a
  process before it left behind: how much later does it wake?
- A caller records flat out: how much longer than the usual call takes the one in a hundred?
- Nothing is recorded: how much processor time goes by all the same?
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from statistics import median, quantiles

import child
import workload
from sink import Sink
from table import Table
from workload import question

EXPORTERS = {"HTTP exporter": "", "OTLP exporter": "otlp+"}
TICK_S = 0.001
BACKLOG_TURNS = 120_000
BURST_TURNS = 20_000
WARM_TURNS = 1000
LATER_P50_MS, LATER_P99_MS = 0.5, 3.0
BURST_RATIO = 8
IDLE_MS = 0.2


def main() -> None:
    quick = child.is_quick()
    repeats, watched_s, idle_s = (1, 0.5, 3) if quick else (5, 1.0, 35)
    table = Table(f"Wake-up of a loop, in ms later; median of {repeats}", "draining", "without")
    for name, scheme in EXPORTERS.items():
        runs = [child.measured(drain, scheme=scheme, watched_s=watched_s) for _ in range(repeats)]
        for part, target in (("p50", LATER_P50_MS), ("p99", LATER_P99_MS)):
            judge(table, f"{name}, {part}", [run[part] for run in runs], target)
    table = Table(f"A caller's burst, in us; median of {repeats}", "p99", "p50")
    for name, scheme in EXPORTERS.items():
        runs = [burst_in_child(scheme) for _ in range(repeats)]
        ours, beside = (median(column) for column in zip(*runs, strict=True))
        table.line(name, [p99 / p50 for p99, p50 in runs], BURST_RATIO, ours=ours, beside=beside)
    table = Table(f"Idle for {idle_s} s, both exporters", "", "", "ms a second")
    table.line("processor time", [idle_in_child(idle_s)], IDLE_MS)


def judge(table: Table, name: str, runs: list[tuple[float, float]], target: float) -> None:
    draining, without = (median(column) for column in zip(*runs, strict=True))
    later = [one - other for one, other in runs]
    table.line(name, later, target, ours=draining, beside=without)


def drain(
    scheme: str, watched_s: float, turns: int = BACKLOG_TURNS
) -> dict[str, tuple[float, float]]:
    """How late a loop wakes, at p50 and p99, in ms: draining, and without turnspan.

    Raises:
        RuntimeError: the backlog did not last.
    """
    logging.getLogger("turnspan").setLevel(logging.CRITICAL)  # it says how much is left
    sink = Sink()
    url = scheme + sink.url
    left = json.dumps({"url": url, "turns": turns})
    subprocess.run([sys.executable, child.__file__, "lag", "leave_behind", left], check=True)
    without_ms = asyncio.run(wake_ups(watched_s))
    with sink:
        workload.recorded(url)
        import turnspan

        draining_ms = []
        while not turnspan.health().delivered:  # it is completed first, and that counts too
            draining_ms += asyncio.run(wake_ups(watched_s))
        if not turnspan.health().unsent:
            raise RuntimeError(f"{turns} turns did not last {watched_s} s")
        turnspan.close(timeout_s=0)
    draining, without = quantiles(draining_ms, n=100), quantiles(without_ms, n=100)
    return {"p50": (draining[49], without[49]), "p99": (draining[98], without[98])}


def leave_behind(url: str, turns: int) -> None:
    """Record while nobody listens, and die."""
    import turnspan

    logging.getLogger("turnspan").setLevel(logging.CRITICAL)  # it says that nobody is there
    agent = workload.recorded(url)
    for number in range(turns):
        agent.ask(question(number))
    os._exit(turnspan.health().journalled != turns)


async def wake_ups(watched_s: float) -> list[float]:
    """How many ms later than asked a loop wakes, each time."""
    clock, late_ms = time.perf_counter, []
    until_s = clock() + watched_s
    while (before_s := clock()) < until_s:
        await asyncio.sleep(TICK_S)
        late_ms.append((clock() - before_s - TICK_S) * 1000)
    return late_ms


def burst_in_child(scheme: str, turns: int = BURST_TURNS) -> tuple[float, float]:
    with Sink() as sink:
        found = child.measured(burst, scheme=scheme, endpoint=sink.url, turns=turns)
        if sink.arrived() != WARM_TURNS + turns:
            raise RuntimeError("turns are missing: that is no comparison")
    return found


def burst(scheme: str, endpoint: str, turns: int) -> tuple[float, float]:
    """p99 and p50 of a call, in microseconds, while turns are recorded flat out."""
    agent = workload.recorded(scheme + endpoint)
    for number in range(WARM_TURNS):
        agent.ask(question(number))
    agent.flush()
    clock, spent_ns = time.perf_counter_ns, []
    for number in range(WARM_TURNS, WARM_TURNS + turns):
        text = question(number)
        start_ns = clock()
        agent.ask(text)
        spent_ns.append(clock() - start_ns)
    agent.flush()
    hundredths = quantiles(spent_ns, n=100)
    return hundredths[98] / 1000, hundredths[49] / 1000


def idle_in_child(idle_s: float) -> float:
    with Sink() as sink:
        return child.measured(idle, endpoint=sink.url, idle_s=idle_s)


def idle(endpoint: str, idle_s: float) -> float:
    """Milliseconds of processor time a second, with everything set up and delivered."""
    agent = workload.recorded(*(scheme + endpoint for scheme in EXPORTERS.values()))
    for number in range(WARM_TURNS):
        agent.ask(question(number))
    agent.flush()
    time.sleep(1.0)
    start_s = time.process_time()
    time.sleep(idle_s)
    return (time.process_time() - start_s) / idle_s * 1000


if __name__ == "__main__":
    main()
