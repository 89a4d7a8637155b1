"""Write an exporter of your own: a name, `export` and `close`. Then let the rules check it.

An exporter runs in a thread of its own, off the caller's path. It says what became of each
turn; whatever it doesn't name was delivered. What it leaves unsent is offered again later.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import turnspan
from turnspan.errors import WireError
from turnspan.ports import JournalledTurn, Outcome
from turnspan.testing.exporter_rules import exporter_rules


class SqliteExporter:
    """Keeps turns in a table, each id once: a turn may come again after a crash."""

    def __init__(self, path: Path) -> None:
        self.name = f"sqlite:{path.name}"  # the same after a restart
        self._table = sqlite3.connect(path, check_same_thread=False)
        self._table.execute("CREATE TABLE IF NOT EXISTS turns (id TEXT PRIMARY KEY, line BLOB)")

    def export(self, batch: Sequence[JournalledTurn], *, timeout_s: float) -> Outcome:
        """Store ``batch``: refuse what is no turn, leave all unsent where that fails."""
        rows, refused = [], {}
        for index, journalled in enumerate(batch):
            try:
                rows.append((journalled.turn.id, journalled.raw))
            except WireError as error:
                refused[index] = error.what
        try:
            with self._table:
                self._table.executemany("INSERT OR IGNORE INTO turns VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            return Outcome.all_unsent(len(batch), f"cannot write: {error}")
        return Outcome(refused=refused)

    def close(self, *, timeout_s: float) -> None:
        """Let go of the file; every turn that comes after this is unsent."""
        self._table.close()


with TemporaryDirectory() as directory:
    home = Path(directory)
    for number, rule in enumerate(exporter_rules()):
        rule(lambda number=number: SqliteExporter(home / f"rule-{number}.db"))
        print("keeps:", rule.__name__)
    turnspan.configure(exporters=[SqliteExporter(home / "turns.db")], directory=home / "journal")
    with turnspan.turn(agent="greeter", input="hello") as turn:
        turn.set_output("hi")
    print(turnspan.close())

# prints:
#   keeps: may_be_closed_twice
#   FlushReport(delivered=1, refused=0, unsent=0, timed_out=False)
