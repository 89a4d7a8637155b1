"""A million turns against a destination that is dead, and then comes back.

    python benchmarks/flood.py [--quick]

The directory's budget is a fraction of what is recorded: what doesn't fit goes to the ring in
memory, and the oldest of it is dropped and counted. Memory is to stay flat, the directory
within its budget; what was recorded and not dropped is to arrive when the destination is back.
"""

import logging
import time
from pathlib import Path

import child
import workload
from memory import SMAPS, private_mb, until_delivery_failed
from sink import Sink
from table import Table
from workload import question

DIRECTORY_BYTES = 256 * 2**20
DIRECTORY = Path("turns")
WARM_TURNS = 1000
SAMPLES = 100
TARGET_MB = 20
BACK_S = 120.0


def main() -> None:
    if not SMAPS.exists():
        print("flood.py reads /proc/self/smaps_rollup, which this system does not have")
        return
    turns = 100_000 if child.is_quick() else 1_000_000
    for name, scheme in {"HTTP exporter": "", "OTLP exporter": "otlp+"}.items():
        show(name, turns, child.measured(flood, scheme=scheme, turns=turns))


def show(name: str, turns: int, found: dict[str, float]) -> None:
    table = Table(f"{turns:,} turns, destination dead; {name}", "highest", "before", "MB")
    grown_mb = found["highest_mb"] - found["before_mb"]
    beside = {"ours": found["highest_mb"], "beside": found["before_mb"]}
    table.line("private memory", [grown_mb], TARGET_MB, **beside)
    size_mb, budget_mb = found["directory_bytes"] / 2**20, DIRECTORY_BYTES / 2**20
    table.line("directory", [size_mb], budget_mb)
    table.line("missing when it is back", [found["missing"]], 0)
    print(f"{found['arrived']:,} arrived, {found['dropped']:,} were dropped and counted")


def flood(scheme: str, turns: int, budget_bytes: int = DIRECTORY_BYTES) -> dict[str, float]:
    """Record ``turns``, have the sink come back, and count what arrives."""
    import turnspan

    logging.getLogger("turnspan").setLevel(logging.CRITICAL)  # it says that nobody is there
    sink = Sink()
    agent = workload.recorded(scheme + sink.url, directory_bytes=budget_bytes)
    for number in range(WARM_TURNS):
        agent.ask(question(number))
    until_delivery_failed()
    found = {"before_mb": private_mb(), "highest_mb": 0.0, "directory_bytes": 0.0}
    for number in range(WARM_TURNS, WARM_TURNS + turns):
        agent.ask(question(number))
        if number % (turns // SAMPLES) == 0:
            found["highest_mb"] = max(found["highest_mb"], private_mb())
            found["directory_bytes"] = max(found["directory_bytes"], directory_bytes())
    with sink:
        until_s = time.monotonic() + BACK_S
        while not turnspan.flush(timeout_s=10.0) and time.monotonic() < until_s:
            pass
        arrived = sink.arrived()
    dropped = sum(turnspan.health().dropped.values())
    missing = WARM_TURNS + turns - dropped - arrived
    turnspan.close(timeout_s=1.0)
    return found | {"arrived": arrived, "dropped": dropped, "missing": abs(missing)}


def directory_bytes() -> int:
    return sum(path.stat().st_size for path in DIRECTORY.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
