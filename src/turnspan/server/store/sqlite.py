"""SQLite: a file in WAL mode, one thread that writes, many connections that read.

What several requests write at one time goes into one transaction, so that they share its fsync.
Another process may use the file too; the two then take turns.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import Future
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
from turnspan.server.store.tables import turns

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
_GROUP: Final = 64
_ROWS: Final = 50
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
        last = connection.execute(select(func.max(turns.c.seq))).scalar() or 0
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


class _UndoneError(Exception):
    """One work took back what those before it wrote: on a full disk SQLite ends a transaction."""


class WriterThread:
    """The one thread that writes: it takes all the work that is waiting into one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: queue.SimpleQueue[tuple[Callable[[Any], Any], Future[Any], bool] | None]
        self._waiting = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="turnspan-store", daemon=True)
        self._thread.start()

    def do(self, work: Callable[[Connection], Result]) -> Result:
        """Do ``work`` in a transaction; answers when it was committed."""
        return self._put(work, alone=False)

    def do_alone(self, work: Callable[[Any], Any]) -> Any:
        """Do ``work`` with the bare connection, outside any transaction."""
        return self._put(work, alone=True)

    def stop(self) -> None:
        """Do what is waiting, and end."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            self._waiting.put(None)
        self._thread.join()

    def _put(self, work: Callable[[Any], Result], *, alone: bool) -> Result:
        if threading.current_thread() is self._thread:
            raise RuntimeError("work that is writing must use the store it was handed")
        done: Future[Result] = Future()
        with self._lock:
            if self._stopped:
                raise RuntimeError("the store is closed")
            self._waiting.put((work, done, alone))
        return done.result()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            group, is_last = self._next_group()
            together = [(work, done) for work, done, alone in group if not alone]
            if together:
                self._commit(together)
            for work, done, alone in group:
                if alone:
                    self._do_alone(work, done)

    def _next_group(self) -> tuple[list[tuple[Callable[[Any], Any], Future[Any], bool]], bool]:
        group = []
        item = self._waiting.get()
        while item is not None:
            group.append(item)
            if len(group) == _GROUP or self._waiting.empty():
                return group, False
            item = self._waiting.get()
        return group, True

    def _commit(self, group: Sequence[tuple[Callable[[Connection], Any], Future[Any]]]) -> None:
        results: list[tuple[Future[Any], Any]] = []
        try:
            with self._engine.begin() as connection:
                for work, done in group:
                    try:
                        with connection.begin_nested():
                            results.append((done, work(connection)))
                    except Exception as error:
                        if len(group) > 1 and not _is_in_transaction(connection):
                            raise _UndoneError from error
                        done.set_exception(error)
        except _UndoneError:
            for work, done in group:
                if not done.done():
                    self._commit([(work, done)])
        except BaseException as error:  # noqa: BLE001  # border: nothing of the group was written
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
        else:
            for done, result in results:
                done.set_result(result)

    def _do_alone(self, work: Callable[[Any], Any], done: Future[Any]) -> None:
        try:
            raw = self._engine.raw_connection()
            try:
                done.set_result(work(raw.driver_connection))
            finally:
                raw.close()
        except BaseException as error:  # noqa: BLE001  # border: it is the asker's
            done.set_exception(error)


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


def _is_in_transaction(connection: Connection) -> bool:
    return bool(getattr(connection.connection.driver_connection, "in_transaction", False))


def _insert_rows(connection: Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert ``rows``, many a statement: while one runs, other threads of Python may too."""
    if not rows:
        return
    mark = "(" + ", ".join("?" * len(rows[0])) + ")"
    statement = f"INSERT INTO {into} VALUES "  # noqa: S608  # names of ours
    whole = len(rows) // _ROWS * _ROWS
    for start in range(0, whole, _ROWS):
        values = tuple(chain.from_iterable(rows[start : start + _ROWS]))
        connection.exec_driver_sql(statement + ", ".join([mark] * _ROWS), values)
    if whole < len(rows):
        connection.exec_driver_sql(statement + mark, list(rows[whole:]))


def _configure_index(connection: Connection, name: str, value: int) -> None:
    connection.exec_driver_sql(
        "INSERT INTO turn_text (turn_text, rank) VALUES (?, ?)", (name, value)
    )


def _is_word(word: str) -> bool:
    """Whether the tokenizer sees anything in ``word``."""
    return any(unicodedata.category(char)[0] in "LN" for char in word)
