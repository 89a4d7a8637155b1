"""SQLite: a file in WAL mode, one thread that writes, many connections that read.

What several requests write at one time goes into one transaction, so that they share its fsync.
Another process may use the file too; the two then take turns.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import insert

from turnspan.errors import StoreError
from turnspan.server.store.backend import Indexed, answering, chunks
from turnspan.server.store.migrations import migrate
from turnspan.server.store.writer import WriterThread

__all__ = ["Sqlite"]

Result = TypeVar("Result")
_WORDS: Final = {
    "seq": "INTEGER",
    "auto_seq": "INTEGER",
    "bytes": "BLOB",
    "float": "REAL",
    "labels": "TEXT",
    "no_rowid": "WITHOUT ROWID",
    "search": "CREATE VIRTUAL TABLE turn_text USING fts5(words, tokenize = 'unicode61')",
}
_PRAGMAS: Final = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # what was acknowledged survives power loss
    "PRAGMA secure_delete = ON",  # what was erased is not in the file either
    "PRAGMA cache_size = -32768",
    "PRAGMA temp_store = MEMORY",
)
_READERS: Final = 16
_KNOWN: Final = "SELECT id, seq, started_at, status FROM turns WHERE project = ? AND id"
_VARIABLES: Final = 999  # of one statement: what every SQLite takes
_SECURE_DELETE: Final = (3, 42, 0)  # since then the search index can forget on its own


class Sqlite:
    """The database in the file at ``path``, made where there is none.

    Raises:
        StoreError: it is no database, cannot be written, or is of a later version.
    """

    def __init__(self, path: str, *, now_ns: int) -> None:
        url = f"sqlite+pysqlite:///{path}"
        self._reader = _engine(url, "BEGIN", "PRAGMA query_only = ON")
        self._writer = _engine(url, "BEGIN IMMEDIATE")
        try:
            with self._writer.begin() as connection:
                migrate(connection, _WORDS, now_ns=now_ns)
                if sqlite3.sqlite_version_info >= _SECURE_DELETE:
                    _configure_index(connection, "secure-delete", 1)
        except Exception as error:
            self._writer.dispose()
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                f"{path} cannot be opened as a store: {type(error).__name__}",
                fix="see that it is a turnspan store, and that its folder may be written",
            ) from error
        self._thread = WriterThread(self._writer)

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do ``work`` on one consistent view of the data."""
        with answering(), self._reader.begin() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do ``work`` in the writing thread; answers when it is on disk."""
        with answering():
            return self._thread.do(work)

    def insert(self, table: Table) -> Any:
        """An INSERT of this database."""
        return insert(table)

    def known(self, connection: Connection, project: str, ids: Sequence[str]) -> Sequence[Any]:
        """Those of the turns that are there."""
        found: list[Any] = []
        for some in chunks(ids):
            marks = ", ".join("?" * len(some))
            asked = f"{_KNOWN} IN ({marks})"
            found += connection.exec_driver_sql(asked, (project, *some)).all()
        return found

    def insert_many(
        self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert whole rows."""
        _insert_rows(connection, table.name, rows)

    def next_seqs(self, connection: Connection, count: int) -> Sequence[int]:
        """The numbers after the last: nobody else is writing."""
        last = connection.exec_driver_sql("SELECT max(seq) FROM turns").scalar() or 0
        return range(last + 1, last + 1 + count)

    def index(self, connection: Connection, turns: Sequence[Indexed]) -> None:
        """Write their words into the index."""
        _insert_rows(connection, "turn_text (rowid, words)", turns)

    def unindex(self, connection: Connection, seqs: Sequence[int]) -> None:
        """Take their words out of the index."""
        for some in chunks(seqs):
            connection.exec_driver_sql(
                "DELETE FROM turn_text WHERE rowid = ?", [(seq,) for seq in some]
            )

    def contains(self, seq: ColumnElement[int], words: Sequence[str]) -> ColumnElement[bool]:
        """Ask the index."""
        asked = " ".join('"' + word.replace('"', '""') + '"' for word in words if _is_word(word))
        if not asked:
            return literal_column("1 = 1")
        found = text("SELECT rowid FROM turn_text WHERE turn_text MATCH :words")
        return seq.in_(found.bindparams(words=asked).columns(literal_column("rowid")))

    def labelled(self, labels: ColumnElement[Any], key: str, value: str) -> ColumnElement[bool]:
        """Look into the object."""
        each = func.json_each(labels).table_valued("key", "value")
        return select(1).select_from(each).where(each.c.key == key, each.c.value == value).exists()

    def total(self, numbers: ColumnElement[Any]) -> ColumnElement[Any]:
        """A float, for `sum` gives up beyond 64 bits."""
        return func.total(numbers)

    def tidy(self) -> None:
        """Rewrite the search index without what was deleted, and empty the log."""

        def rewrite(connection: Connection) -> None:
            if sqlite3.sqlite_version_info < _SECURE_DELETE:
                connection.exec_driver_sql("INSERT INTO turn_text (turn_text) VALUES ('optimize')")

        self.write(rewrite)
        self._thread.do_alone(lambda raw: raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    def close(self) -> None:
        """Write what is waiting, then close every connection."""
        self._thread.stop()
        self._reader.dispose()
        self._writer.dispose()


def _engine(url: str, begin: str, *pragmas: str) -> Engine:
    engine = create_engine(
        url,
        pool_size=_READERS,
        max_overflow=_READERS,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "cached_statements": 256},
    )

    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (*_PRAGMAS, *pragmas):
            connection.execute(pragma)

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", start)
    return engine


def _insert_rows(connection: Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert ``rows``, many a statement: while one runs, other threads of Python may too.

    How many is a power of two, so that a few statements serve for any number of rows.
    """
    if not rows:
        return
    mark = "(" + ", ".join("?" * len(rows[0])) + ")"
    statement = f"INSERT INTO {into} VALUES "  # noqa: S608  # names of ours
    start, size = 0, 1 << (_VARIABLES // len(rows[0])).bit_length() - 1
    while left := len(rows) - start:
        while size > left:
            size //= 2
        values = tuple(chain.from_iterable(rows[start : start + size]))
        connection.exec_driver_sql(statement + ", ".join([mark] * size), values)
        start += size


def _configure_index(connection: Connection, name: str, value: int) -> None:
    connection.exec_driver_sql(
        "INSERT INTO turn_text (turn_text, rank) VALUES (?, ?)", (name, value)
    )


def _is_word(word: str) -> bool:
    """Whether the tokenizer sees anything in ``word``."""
    return any(unicodedata.category(char)[0] in "LN" for char in word)
