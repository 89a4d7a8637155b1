"""Which turns arrive when the destination fails or the program dies.

    python delivery.py [--quick] [--only CELL,CELL]

Prints, for the HTTP and the OTLP exporter, the share of turns that arrived whole in each of
thirteen cells, and how long it took. A *burst* is 5,000 turns at once, *paced* 200 a second.
`exit` is the end of the program with no flush, `kill` is SIGKILL right after the last call;
`down5s` and `down30s` refuse connections, `429` (with `Retry-After: 1`) and `503` answer so
for three seconds. `kill` and `down/exit` count what the next start of the program delivers.

A turn counts when its question, its answer and both ends of its tool call are with the
destination, which keys on ids: a duplicate is a turn it holds under two of them. What was
sent again under the same id is told beside.

A last table has programs that end before a destination that refuses connections, or takes
them and never answers: how long after their last line they were gone, and whether the next
start delivers what they left. `--quick` has a fifth of the turns, and three programs for
twenty.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from child import FOREIGN

FAULTS = Path(__file__).parents[1] / "tests" / "faults"
LONGEST_S = 150.0
EXPORTERS = {"http": "", "otlp": "otlp+"}
ITEMS = {"http": 1, "otlp": 2}  # the destination holds a turn, or two spans
DOWN = "/be?mode=down&for_s={}"
BUSY = "/be?mode=status&status=429&retry_after=1&for_s=3"
BROKEN = "/be?mode=status&status=503&for_s=3"
DEAD = {"refusing": "/be?mode=down", "silent": "/be?mode=silent"}
EXIT_TURNS = 50
EXIT_S = 2.5


@dataclass(frozen=True, slots=True)
class Cell:
    """One program and what befalls it."""

    name: str
    turns: int
    rate: int = 0
    end: str = "exit"
    fault: str = ""
    linger_s: float = 0.0
    recovers: bool = False

    def quick(self) -> "Cell":
        """The same with a fifth of the turns."""
        return replace(self, turns=self.turns // 5, linger_s=self.linger_s * 0.8)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of one cell."""

    cell: str
    exporter: str
    turns: int
    whole: int
    duplicates: int
    resent: int
    produce_s: float
    flush_s: float | None
    exit_s: float
    said: str

    @property
    def is_lossless(self) -> bool:
        return self.whole == self.turns and not self.duplicates


@dataclass(frozen=True, slots=True)
class Exits:
    """How programs ended before a dead destination, and how many turns never arrived."""

    exporter: str
    fault: str
    took_s: tuple[float, ...]
    lost: int

    @property
    def in_time(self) -> int:
        return sum(1 for took_s in self.took_s if took_s <= EXIT_S)


CELLS = (
    Cell("burst/exit", 5000),
    Cell("burst/flush", 5000, end="flush"),
    Cell("burst/kill", 5000, end="kill", recovers=True),
    Cell("paced/exit", 1000, 200),
    Cell("paced/kill", 1000, 200, end="kill", recovers=True),
    Cell("burst/down5s", 5000, 0, "flush", DOWN.format(5), 15.0),
    Cell("paced/down5s", 2000, 200, "flush", DOWN.format(5), 15.0),
    Cell("paced/down30s", 2000, 50, "flush", DOWN.format(30), 75.0),
    Cell("burst/429", 5000, 0, "flush", BUSY, 12.0),
    Cell("paced/429", 1000, 200, "flush", BUSY, 12.0),
    Cell("burst/503", 5000, 0, "flush", BROKEN, 12.0),
    Cell("paced/503", 1000, 200, "flush", BROKEN, 12.0),
    Cell("down/exit", 500, 200, fault=DOWN.format(5), recovers=True),
)


def main() -> None:
    """Run the cells, both exporters side by side, and print the tables."""
    asked = _asked()
    cells = [cell.quick() if asked.quick else cell for cell in CELLS if _is_wanted(cell, asked)]
    arrivals = []
    with ThreadPoolExecutor(len(EXPORTERS)) as pool:
        for cell in cells:
            for arrival in pool.map(deliver, [cell] * len(EXPORTERS), EXPORTERS):
                arrivals.append(arrival)
                print(_line(arrival), file=sys.stderr, flush=True)
        places = [(fault, exporter) for fault in DEAD for exporter in EXPORTERS]
        runs = 0 if asked.only else 3 if asked.quick else 20
        exits = list(pool.map(lambda place: end(*place, runs), places)) if runs else []
    _print_tables(cells, arrivals)
    _print_exits(exits)
    lossless = all(arrival.is_lossless for arrival in arrivals)
    sys.exit(not (lossless and not any(each.lost or each.in_time < runs for each in exits)))


def deliver(cell: Cell, exporter: str) -> Arrival:
    """Run ``cell`` with ``exporter`` against a destination of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="turnspan-bench-") as scratch,
        destination() as (url, control),
    ):
        to = EXPORTERS[exporter] + url
        given = ["--to", to, "--turns", str(cell.turns), "--rate", str(cell.rate)]
        given += ["--linger", str(cell.linger_s), "--control", control, "--end", cell.end]
        lines, ended_s, said = produce(
            scratch, *given, *(["--fault", cell.fault] * bool(cell.fault))
        )
        if cell.recovers:
            wait_until_up(control)
            recover(scratch, to)
        whole, stats = ask(control, "/whole"), ask(control, "/stats")
    return Arrival(
        cell.name,
        exporter,
        cell.turns,
        len(set(whole) & set(range(cell.turns))),
        stats["stored"] - ITEMS[exporter] * len(whole),
        stats["duplicates"],
        lines[0]["produced_s"],
        next((line["flush_s"] for line in lines if "flush_s" in line), None),
        ended_s - lines[-1]["at_s"],
        said,
    )


def end(fault: str, exporter: str, runs: int) -> Exits:
    """Run a program that ends before a dead destination, ``runs`` times."""
    took_s, lost = [], 0
    for _ in range(runs):
        with (
            tempfile.TemporaryDirectory(prefix="turnspan-bench-") as scratch,
            destination() as (url, control),
        ):
            to = EXPORTERS[exporter] + url
            ask(control, DEAD[fault])
            lines, ended_s, _ = produce(scratch, "--to", to, "--turns", str(EXIT_TURNS))
            took_s.append(ended_s - lines[-1]["at_s"])
            ask(control, "/be?mode=ok")
            recover(scratch, to)
            lost += EXIT_TURNS - len(ask(control, "/whole"))
    return Exits(exporter, fault, tuple(took_s), lost)


@contextmanager
def destination() -> Iterator[tuple[str, str]]:
    """A destination in a process of its own: its address, and the one that controls it."""
    program = [sys.executable, str(FAULTS / "server.py")]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            where = json.loads(process.stdout.readline())
            yield where["url"], where["control"]
        finally:
            process.kill()


def produce(scratch: str, *given: str) -> tuple[list[dict[str, Any]], float, str]:
    """Run the producer: what it printed, when it was gone, and what it logged."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    done = subprocess.run(
        [sys.executable, str(FAULTS / "producer.py"), *given],
        cwd=scratch,
        env=kept | {"HOME": scratch, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    ended_s = time.monotonic()
    return [json.loads(line) for line in done.stdout.splitlines()], ended_s, done.stderr


def recover(scratch: str, to: str) -> None:
    """Start the program again, with nothing to record."""
    produce(scratch, "--to", to, "--turns", "0", "--end", "flush")


def wait_until_up(control: str) -> None:
    """A program that starts again may find its destination down; here it comes back first."""
    while ask(control, "/stats")["mode"] == "down":
        time.sleep(0.1)


def ask(control: str, path: str) -> Any:
    """What the destination says of itself."""
    with build_opener(ProxyHandler({})).open(control + path) as answer:
        return json.load(answer)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the turns")
    parser.add_argument("--only", help="cells, separated by commas")
    return parser.parse_args()


def _is_wanted(cell: Cell, asked: argparse.Namespace) -> bool:
    return not asked.only or cell.name in asked.only.split(",")


def _line(arrival: Arrival) -> str:
    flush = "" if arrival.flush_s is None else f", flush {arrival.flush_s:.2f} s"
    return (
        f"{arrival.cell:<14}{arrival.exporter:<6}{arrival.whole}/{arrival.turns}, "
        f"{arrival.duplicates} duplicates, {arrival.resent} sent again, "
        f"produced in {arrival.produce_s:.2f} s{flush}, exit {arrival.exit_s:.2f} s"
    )


def _print_tables(cells: Sequence[Cell], arrivals: Sequence[Arrival]) -> None:
    by_place = {(arrival.exporter, arrival.cell): arrival for arrival in arrivals}
    for title, shown in (
        ("Delivery: share of turns that arrived complete", _share),
        ("Seconds: produce / flush / exit", _seconds),
        ("At the destination: duplicates by id / sent again under a known id", _repeats),
    ):
        print(f"\n### {title}\n")
        print("| exporter |", *(f"{cell.name} |" for cell in cells))
        print("|---|" + "---|" * len(cells))
        for exporter in EXPORTERS:
            row = [shown(by_place[exporter, cell.name]) for cell in cells]
            print(f"| turnspan_{exporter} |", *(f"{figure} |" for figure in row))


def _print_exits(exits: Sequence[Exits]) -> None:
    if not exits:
        return
    print(f"\n### Exit before a dead destination: within {EXIT_S} s of the last line\n")
    print("| exporter | destination | in time | longest, s | turns lost |\n|---|---|---|---|---|")
    for each in exits:
        in_time = f"{each.in_time} of {len(each.took_s)}"
        longest = f"{max(each.took_s):.2f}"
        print(f"| turnspan_{each.exporter} | {each.fault} | {in_time} | {longest} | {each.lost} |")


def _share(arrival: Arrival) -> str:
    share = 100 * arrival.whole / arrival.turns
    return "100%" if arrival.whole == arrival.turns else f"**{share:.1f}%**"


def _seconds(arrival: Arrival) -> str:
    flush = None if arrival.flush_s is None else round(arrival.flush_s, 2)
    return f"{arrival.produce_s:.2f} / {flush} / {arrival.exit_s:.2f}"


def _repeats(arrival: Arrival) -> str:
    return f"{arrival.duplicates} / {arrival.resent}"


if __name__ == "__main__":
    main()
