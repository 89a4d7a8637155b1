"""A program that records turns and then ends, one way or another.

    python producer.py --to URL --turns 100 --end kill

Each turn is a question, a tool called with it, and an answer, all four numbered, so that
`server.py` can tell a whole turn from a part. With `--recorded FILE` the id of each turn is
written down as soon as its call has returned. What it has to say it prints as JSON, one object
a line, the first as the last turn was recorded: `{"at_s", "turns", "produced_s"}`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.request import ProxyHandler, build_opener

import turnspan

WARM_UP = 99_999_999
QUESTION = (
    "{number} of my order, and I would like to know where the parcel is at the moment, whether it "
    "will be here before the weekend, and if the neighbours may take it in for me should I be out."
)
ANSWER = (
    "{number}: your parcel has left the depot and is on its way to you, so it arrives well before "
    "the weekend; I have added a note that the neighbours may take it, and the courier will ring "
    "their bell should nobody answer yours. If they are out as well, it goes back to the depot and "
    "waits there for seven days, in which you can have it brought again on a day of your choice."
)


@turnspan.tool
def track(order: dict[str, Any]) -> dict[str, Any]:
    """Where a parcel is."""
    number = order["order"][1:]
    return {"found": f"R{number}", "stops": ["depot", "van"], "late": False}


@turnspan.agent
def ask(question: str) -> str:
    """Answer a question with the help of a tool."""
    recorded.append(turnspan.current_turn().id)
    track({"order": f"P{question[1:9]}", "country": "nl"})
    return ANSWER.format(number=f"A{question[1:9]}")


recorded: list[str] = []


def question(number: int, size: int = 0) -> str:
    """What turn ``number`` asks, in no fewer than ``size`` characters."""
    return QUESTION.format(number=f"Q{number:08}").ljust(size, "x")


def produce(given: argparse.Namespace) -> None:
    """Record the turns, at the pace asked for."""
    began_s = time.monotonic()
    for number in range(given.first, given.first + given.turns):
        if given.rate:
            due_s = began_s + (number - given.first) / given.rate
            time.sleep(max(0.0, due_s - time.monotonic()))
        ask(question(number, given.big_size if number == given.big else 0))
        if given.recorded:
            note(given.recorded, recorded[-1])
    now_s = time.monotonic()
    say(turns=given.turns, produced_s=now_s - began_s)
    time.sleep(max(0.0, began_s + given.linger - now_s))


def note(path: str, turn_id: str) -> None:
    """Write down that ``turn_id`` was recorded."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{turn_id}\n")


def say(**what: Any) -> None:
    """Print ``what`` as JSON, and when it was said."""
    print(json.dumps({"at_s": time.monotonic(), **what}), flush=True)


def tell(control: str, path: str) -> None:
    """Have the destination behave as ``path`` says."""
    with build_opener(ProxyHandler({})).open(control + path) as answer:
        answer.read()


def end_flush(given: argparse.Namespace) -> None:
    """Flush, and fall off the end."""
    began_s = time.monotonic()
    report = turnspan.flush(given.patience)
    say(flushed=bool(report), unsent=report.unsent, flush_s=time.monotonic() - began_s)


def end_exit(given: argparse.Namespace) -> None:
    """Fall off the end."""


def end_kill(given: argparse.Namespace) -> None:
    """Go without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def end_term(given: argparse.Namespace) -> None:
    """Go as a container is told to."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def end_os_exit(given: argparse.Namespace) -> None:
    """Leave the interpreter where it is."""
    os._exit(0)


def end_sys_exit(given: argparse.Namespace) -> None:
    """Ask the interpreter to end."""
    sys.exit(0)


def end_raise(given: argparse.Namespace) -> None:
    """End in an exception that nobody handles."""
    raise RuntimeError("nobody handles this")


ENDS: dict[str, Callable[[argparse.Namespace], None]] = {
    name.removeprefix("end_"): function
    for name, function in list(globals().items())
    if name.startswith("end_")
}


def arguments() -> argparse.Namespace:
    """What the program was given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", action="append", default=[])
    parser.add_argument("--dir", default="turns")
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the number of the first turn")
    parser.add_argument("--rate", type=float, default=0.0, help="turns a second; 0: at once")
    parser.add_argument("--linger", type=float, default=0.0, help="seconds it lives at the least")
    parser.add_argument("--end", choices=sorted(ENDS), default="exit")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for the flush")
    parser.add_argument("--recorded", help="the file that takes the ids")
    parser.add_argument("--big", type=int, default=-1, help="the number of the big turn")
    parser.add_argument("--big-size", type=int, default=0, help="its size in characters")
    parser.add_argument("--settings", type=json.loads, default={}, help="further ones, as JSON")
    parser.add_argument("--control", help="of the server: one turn is delivered before the fault")
    parser.add_argument("--fault", help="what the server is told then")
    return parser.parse_args()


def main() -> None:
    """Record, and end as asked."""
    given = arguments()
    turnspan.configure(exporters=given.to, directory=given.dir, **given.settings)
    if given.control:
        ask(question(WARM_UP))
        turnspan.flush(given.patience)
        tell(given.control, "/reset")
        if given.fault:
            tell(given.control, given.fault)
    produce(given)
    ENDS[given.end](given)


if __name__ == "__main__":
    main()
