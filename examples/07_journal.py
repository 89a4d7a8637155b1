"""Read a journal back: it is a directory of JSON lines that outlives the program.

`jq`, `grep` and `turnspan tail` read it as well. A process that was killed leaves its turns
here, and the next one delivers them.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import turnspan
from turnspan.journal import Directory, History


@turnspan.tool
def divide(a: float, b: float) -> float:
    """Divide ``a`` by ``b``."""
    return a / b


@turnspan.agent
def calculator(task: str) -> str:
    """Solve a task such as `6 / 3`."""
    a, _, b = task.split()
    return f"It is {divide(float(a), float(b)):g}."


def record(directory: Path) -> None:
    """Do what any application does."""
    turnspan.configure(directory=directory)  # without an exporter the journal is the destination
    with turnspan.session("homework"):
        calculator("6 / 3")
        try:
            calculator("1 / 0")
        except ZeroDivisionError:
            pass
    turnspan.close()


with TemporaryDirectory() as home:
    record(Path(home))
    history = History(Directory(home))
    for journalled in history.turns():
        turn = journalled.turn  # decoded here; `journalled.raw` is the line as it was written
        answer = turn.output.content if turn.output else None
        error = turn.error.message if turn.error else None
        print(turn.session_id, turn.number, turn.status, answer or error)
    for session in history.sessions():
        print(session.id, session.turns, session.statuses)
    [segment] = Path(home, "journal").glob("*.ndjson")
    print([json.loads(line)["record"] for line in segment.read_text().splitlines()])

# prints:
#   homework 1 ok It is 2.
#   homework 2 error float division by zero
#   homework 2 {'ok': 1, 'error': 1}
#   ['segment', 'open', 'turn', 'open', 'turn']
