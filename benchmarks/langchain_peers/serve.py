"""The agent with one handler, or with none: measures a chunk of runs whenever it is told to.

    python benchmarks/langchain_peers/serve.py [PEER]

Each line that it reads is a request, each line that it prints an answer. Nothing gets further
than this machine.
"""

import asyncio
import gc
import importlib
import importlib.metadata
import json
import sys
import time
from pathlib import Path

from handlers import Handled

sys.path.append(str(Path(__file__).parents[1]))  # last: `langchain` is not the program there

from rules_of_one import stay_here

WARM_RUNS = 100
PACKAGES = ("langchain-core", "langchain", "langgraph")


def main() -> None:
    sys.addaudithook(stay_here)
    handled, own = Handled(seen=lambda: 0), []
    if sys.argv[1:]:
        adapter = importlib.import_module(f"{sys.argv[1]}_adapter")
        handled, own = adapter.make(), adapter.PACKAGES[:1]
    asked = Asked(handled)
    asked.chunk("sync", WARM_RUNS)
    asked.chunk("async", WARM_RUNS)
    say({name: importlib.metadata.version(name) for name in (*PACKAGES, *own)})
    for line in sys.stdin:
        say(asked.chunk(**json.loads(line)))


def say(answer):
    print(json.dumps(answer), flush=True)


class Asked:
    """The agent, asked again and again."""

    def __init__(self, handled: Handled) -> None:
        import work  # after whatever the handler patches

        self.work, self.agent = work, work.agent()
        self.handled = handled
        self.number = 0

    def chunk(self, kind: str, runs: int) -> dict[str, float]:
        """CPU a run in microseconds, of all threads: until all is out, and before that."""
        config = {"callbacks": list(self.handled.callbacks)}
        questions = [self.work.question(self.number + place) for place in range(runs)]
        self.number += runs
        before = self.handled.seen()
        gc.collect()
        began_ns = time.process_time_ns()
        if kind == "sync":
            for question in questions:
                self.agent.invoke(question, config)
        else:
            asyncio.run(self.each(questions, config))
        asked_ns = time.process_time_ns()
        self.handled.flush()
        ended_ns = time.process_time_ns()
        return {
            "whole": (ended_ns - began_ns) / runs / 1000,
            "unflushed": (asked_ns - began_ns) / runs / 1000,
            "made": (self.handled.seen() - before) / runs,
        }

    async def each(self, questions, config):
        for question in questions:
            await self.agent.ainvoke(question, config)


if __name__ == "__main__":
    main()
