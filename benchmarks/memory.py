"""How much private memory 100,000 turns cost while their destination is down.

    python benchmarks/memory.py [--quick]

Counted from the moment when the first thousand turns were recorded and their delivery has
failed once: all that is imported is there by then. The figure is the highest that is seen.
"""

import logging
import time
from pathlib import Path

import child
import workload
from sink import free_port
from table import Table
from workload import question

SMAPS = Path("/proc/self/smaps_rollup")
TARGET_MB = 15
WARM_TURNS = 1000
LINGER_S = 2.0
SAMPLES = 50


def main() -> None:
    if not SMAPS.exists():
        print("memory.py reads /proc/self/smaps_rollup, which this system does not have")
        return
    repeats, turns = (1, 20_000) if child.is_quick() else (3, 100_000)
    table = Table(
        f"Private memory over {turns:,} turns, destination down; median of {repeats}",
        "highest",
        "before",
        "MB",
    )
    for name, scheme in {"HTTP exporter": "", "OTLP exporter": "otlp+"}.items():
        runs = [child.measured(grow, scheme=scheme, turns=turns) for _ in range(repeats)]
        before_mb, highest_mb = runs[-1]
        figures = [highest - before for before, highest in runs]
        table.line(name, figures, TARGET_MB, ours=highest_mb, beside=before_mb)


def grow(scheme: str, turns: int) -> tuple[float, float]:
    """MB of private memory: before, and the most there were of it."""
    logging.getLogger("turnspan").setLevel(logging.CRITICAL)  # it says that nobody is there
    agent = workload.recorded(f"{scheme}http://127.0.0.1:{free_port()}")
    for number in range(WARM_TURNS):
        agent.ask(question(number))
    until_delivery_failed()
    before_mb = highest_mb = private_mb()
    for number in range(turns):
        agent.ask(question(number))
        if number % (turns // SAMPLES) == 0:
            highest_mb = max(highest_mb, private_mb())
    time.sleep(LINGER_S)
    highest_mb = max(highest_mb, private_mb())
    ensure_all_wait(WARM_TURNS + turns)
    return before_mb, highest_mb


def until_delivery_failed() -> None:
    import turnspan

    turnspan.flush(timeout_s=1.0)
    while not any(one.failing for one in turnspan.health().exporters.values()):
        time.sleep(0.05)


def ensure_all_wait(turns: int) -> None:
    """See that the journal has every turn, and nobody else any."""
    import turnspan

    health = turnspan.health()
    if (health.journalled, health.delivered) != (turns, 0):
        raise RuntimeError(f"{turns} turns should wait in the journal: {health}")


def private_mb() -> float:
    """Memory that no other process shares, in MB."""
    lines = SMAPS.read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


if __name__ == "__main__":
    main()
