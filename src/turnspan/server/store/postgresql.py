"""PostgreSQL: any number of processes on one database."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    create_engine,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import DBAPIError, OperationalError

from turnspan.errors import StoreError
from turnspan.server.store.backend import Indexed, answering, chunks
from turnspan.server.store.migrations import migrate

__all__ = ["PostgreSQL"]

Result = TypeVar("Result")
_WORDS: Final = {
    "seq": "BIGINT",
    "auto_seq": "BIGINT GENERATED ALWAYS AS IDENTITY",
    "bytes": "BYTEA",
    "float": "DOUBLE PRECISION",
    "labels": "JSONB",
    "no_rowid": "",
    "search": "CREATE TABLE turn_text (seq BIGINT PRIMARY KEY, words TSVECTOR NOT NULL); "
    "CREATE INDEX turn_text_words ON turn_text USING gin (words); "
    "CREATE INDEX turns_labels ON turns USING gin (labels jsonb_path_ops); "
    "CREATE SEQUENCE turns_seq",
}
_MIGRATING: Final = 0x7475726E  # the advisory lock of whoever migrates
_IN_THE_WAY: Final = frozenset({"40001", "40P01", "23505"})
_ATTEMPTS: Final = 8
_WORD: Final = re.compile(r"[^\W_]+")
_MAX_WORD_BYTES: Final = 1024


class PostgreSQL:
    """The database at ``url``; it must exist, its tables need not.

    Raises:
        StoreError: it cannot be reached, or is of a later version.
    """

    def __init__(self, url: str, *, now_ns: int) -> None:
        self._engine = create_engine(
            re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url),
            pool_size=10,
            max_overflow=30,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"options": "-c statement_timeout=30000 -c timezone=UTC"},
        )
        try:
            with self._engine.begin() as connection:
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))
                migrate(connection, _WORDS, now_ns=now_ns)
        except OperationalError as error:
            self._engine.dispose()
            raise StoreError(
                "the PostgreSQL of the store cannot be reached",
                fix="see that it runs, and that the URL names an existing database",
            ) from error
        except BaseException:
            self._engine.dispose()
            raise

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do ``work`` in a transaction that only reads."""
        with answering(), self._engine.begin() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do ``work`` in a transaction, again where another one got in its way."""
        with answering():
            for _ in range(_ATTEMPTS - 1):
                try:
                    with self._engine.begin() as connection:
                        return work(connection)
                except DBAPIError as error:
                    if getattr(error.orig, "sqlstate", None) not in _IN_THE_WAY:
                        raise
            with self._engine.begin() as connection:
                return work(connection)

    def insert(self, table: Table) -> Any:
        """An INSERT of this database."""
        return insert(table)

    def known(self, connection: Connection, project: str, ids: Sequence[str]) -> Sequence[Any]:
        """Those of the turns that are there."""
        asked = text(
            "SELECT id, seq, started_at, status FROM turns WHERE project = :project "
            "AND id = ANY(:ids)"
        )
        return connection.execute(asked, {"project": project, "ids": list(ids)}).all()

    def insert_many(
        self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert whole rows."""
        if rows:
            marks = ", ".join(["%s"] * len(table.columns))
            statement = f"INSERT INTO {table.name} VALUES ({marks})"  # noqa: S608  # names of ours
            connection.exec_driver_sql(statement, list(rows))

    def next_seqs(self, connection: Connection, count: int) -> Sequence[int]:
        """The next numbers of the sequence."""
        asked = text("SELECT nextval('turns_seq') FROM generate_series(1, :count)")
        return sorted(connection.execute(asked, {"count": count}).scalars())

    def index(self, connection: Connection, turns: Sequence[Indexed]) -> None:
        """Write their words into the index."""
        if turns:
            rows = [{"seq": seq, "words": _words(content)} for seq, content in turns]
            connection.execute(
                text("INSERT INTO turn_text VALUES (:seq, array_to_tsvector(:words))"), rows
            )

    def unindex(self, connection: Connection, seqs: Sequence[int]) -> None:
        """Take their words out of the index."""
        for some in chunks(seqs):
            connection.execute(
                text("DELETE FROM turn_text WHERE seq = ANY(:seqs)"), {"seqs": list(some)}
            )

    def contains(self, seq: ColumnElement[int], words: Sequence[str]) -> ColumnElement[bool]:
        """Ask the index."""
        wanted = _words(" ".join(words))
        if not wanted:
            return literal_column("true")
        found = text("SELECT seq FROM turn_text WHERE words @@ CAST(:asked AS tsquery)")
        asked = " & ".join(f"'{word}'" for word in wanted)
        return seq.in_(found.bindparams(asked=asked).columns(literal_column("seq")))

    def labelled(self, labels: ColumnElement[Any], key: str, value: str) -> ColumnElement[bool]:
        """Look into the object, through its index."""
        entry = bindparam(None, {key: value}, type_=JSONB)
        return labels.op("@>", is_comparison=True)(entry)

    def total(self, numbers: ColumnElement[Any]) -> ColumnElement[Any]:
        """A `numeric`, of any length."""
        return func.sum(numbers)

    def tidy(self) -> None:
        """Nothing: autovacuum does it."""

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()


def _words(content: str) -> list[str]:
    """The distinct words of ``content``, without case and accents."""
    plain = unicodedata.normalize("NFKD", content).casefold()
    kept = "".join(char for char in plain if not unicodedata.combining(char))
    found = {word for word in _WORD.findall(kept) if len(word.encode()) <= _MAX_WORD_BYTES}
    return sorted(found)
