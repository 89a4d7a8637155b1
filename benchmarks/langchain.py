"""What a handler adds to a run of a LangChain agent: ours beside those of our peers.

    python benchmarks/langchain.py [--make] [--quick] [PEER ...]

The cost is CPU a run with the handler minus the same without, of all threads, until what was
recorded is out; content is recorded by all, and dropped by an exporter that does nothing.
Ours is journalled on disk before that. `turnspan_live` is ours where the application has a
provider of its own: the turns are journalled, and the same spans are made as others make.

A peer is an adapter in `benchmarks/langchain_peers/` and a Python that has it, which `--make`
makes (`benchmarks/environments.py`). With and without are two processes of one Python, for not
every peer can be taken out again. All live at once and are asked in turn, another first in each
round, so that every handler meets the same machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from environments import VENVS, Environments

HERE = Path(__file__).parent / "langchain_peers"
PEERS = Environments(HERE, VENVS / "langchain", ("langchain", "langgraph"))
FOREIGN = ("OTEL_", "TURNSPAN_", "PYTHON", "LANGSMITH_", "LANGCHAIN_", "LANGFUSE_", "TRACELOOP_")
KINDS = {"sync": "invoke", "async": "ainvoke"}
ROUNDS, QUICK_ROUNDS = 5, 2
RUNS, CHUNKS = 20, 10
TARGET = 0.5
FORM = "{:<16}{:>10}{:>18}{:>12}{:>14}{:>12}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--make", action="store_true", help="make the environments first")
    parser.add_argument("--quick", action="store_true", help="a short look")
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(PEERS.known())}")
    asked = parser.parse_args()
    peers = asked.peers or PEERS.known()
    if unknown := set(peers) - set(PEERS.known()):
        parser.error(f"no adapter for {', '.join(sorted(unknown))}")
    if asked.make:
        for peer in peers:
            PEERS.make(peer)
    there = [peer for peer in peers if PEERS.python_of(peer)]
    if missing := set(peers) - set(there):
        print(f"not installed here: {', '.join(sorted(missing))}", file=sys.stderr)
    with ExitStack() as stack:
        rounds = QUICK_ROUNDS if asked.quick else ROUNDS
        measure({peer: Peer(peer, stack) for peer in there}, rounds)


class Process:
    """An agent that is asked a chunk of runs at a time."""

    def __init__(self, python, *handler):
        self.scratch = tempfile.TemporaryDirectory(prefix="turnspan-bench-")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        self.process = subprocess.Popen(
            [python, str(HERE / "serve.py"), *handler],
            cwd=self.scratch.name,
            env=kept | {"HOME": self.scratch.name, "NO_PROXY": "*", "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self):
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(f"{self.process.args} could not be measured: it left, see above")
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()
        self.scratch.cleanup()


class Peer:
    """Two processes of one Python, with the handler and without, asked in turn."""

    def __init__(self, name, stack):
        self.name = name
        self.rows = {kind: [] for kind in KINDS}
        python = PEERS.python_of(name)
        self.processes = {"on": Process(python, name), "off": Process(python)}
        for process in self.processes.values():
            stack.callback(process.end)

    def wait(self):
        """Until both are warm. Answers the versions they have."""
        return {name: process.answer() for name, process in self.processes.items()}["on"]

    def ask(self, kind):
        """One round: chunks of both, in alternating order."""
        pairs = []
        for place in range(CHUNKS):
            order = ("on", "off") if place % 2 else ("off", "on")
            pairs.append({on: self.processes[on].ask(kind=kind, runs=RUNS) for on in order})
        costs = {
            part: median(pair["on"][part] - pair["off"][part] for pair in pairs)
            for part in ("whole", "unflushed", "made")
        }
        self.rows[kind].append(costs | {"alone": median(pair["off"]["whole"] for pair in pairs)})

    def of(self, kind, part):
        return [row[part] for row in self.rows[kind]]


def measure(peers, rounds):
    for name, peer in peers.items():
        print(name, *(f"{package} {version}" for package, version in peer.wait().items()))
    for kind in KINDS:
        for place in range(rounds):
            names = list(peers)
            first = place % len(names)
            for name in names[first:] + names[:first]:
                peers[name].ask(kind)
    for kind in KINDS:
        table(peers, kind, rounds)


def table(peers, kind, rounds):
    print(f"\nCPU that a handler adds to `{KINDS[kind]}`, in us a run; median of {rounds} rounds\n")
    heads = ("cost", "lowest-highest", "of cheapest", "before flush", "out a run")
    print(FORM.format("", *heads).rstrip())
    cheapest = min(
        (peer for peer in peers.values() if not peer.name.startswith("turnspan")),
        key=lambda peer: median(peer.of(kind, "whole")),
        default=None,
    )
    for name, peer in peers.items():
        costs = peer.of(kind, "whole")
        beside = median(ratios(peer, cheapest, kind)) if cheapest else float("nan")
        shown = (
            f"{median(costs):.0f}",
            f"{min(costs):.0f}-{max(costs):.0f}",
            f"{beside:.2f}",
            f"{median(peer.of(kind, 'unflushed')):.0f}",
            f"{median(peer.of(kind, 'made')):.1f}",
        )
        print(FORM.format(name, *shown).rstrip())
    alone = median(us for peer in peers.values() for us in peer.of(kind, "alone"))
    print(f"the agent alone: {alone:.0f}")
    if cheapest and "turnspan" in peers:
        figure = median(ratios(peers["turnspan"], cheapest, kind))
        verdict = "pass" if figure <= TARGET else "MISS"
        print(f"ours beside {cheapest.name}: {figure:.2f}, target <= {TARGET:g}: {verdict}")


def ratios(peer, cheapest, kind):
    """Each round has a ratio: both met the same machine in it."""
    pairs = zip(peer.of(kind, "whole"), cheapest.of(kind, "whole"), strict=True)
    return [ours / theirs for ours, theirs in pairs]


if __name__ == "__main__":
    main()
