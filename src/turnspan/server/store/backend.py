"""What differs between the databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from turnspan.server.store.port import UnavailableError

__all__ = ["Backend", "Indexed", "answering", "chunks"]

Result = TypeVar("Result")
Indexed = tuple[int, str]
"""The `seq` of a turn, and the words by which it is found."""


class Backend(Protocol):
    """One kind of database. Thread-safe."""

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do ``work`` on one consistent view of the data."""
        ...

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do ``work`` in a transaction; what it wrote is durable when this returns.

        ``work`` may be done again from its beginning where another writer was in its way.
        """
        ...

    def insert(self, table: Table) -> Any:
        """An INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
        ...

    def known(self, connection: Connection, project: str, ids: Sequence[str]) -> Sequence[Any]:
        """The `id`, `seq`, `started_at` and `status` of those turns that are there."""
        ...

    def insert_many(
        self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert whole rows, their values in the order of the table's columns.

        They go to the driver as they are: for many rows SQLAlchemy's own way costs more than
        the database does.
        """
        ...

    def next_seqs(self, connection: Connection, count: int) -> Sequence[int]:
        """``count`` numbers for turns, ascending, that nobody else is given."""
        ...

    def index(self, connection: Connection, turns: Sequence[Indexed]) -> None:
        """Make turns findable by their words."""
        ...

    def unindex(self, connection: Connection, seqs: Sequence[int]) -> None:
        """Forget their words, on disk too."""
        ...

    def contains(self, seq: ColumnElement[int], words: Sequence[str]) -> ColumnElement[bool]:
        """Whether a turn holds all of ``words``."""
        ...

    def labelled(self, labels: ColumnElement[Any], key: str, value: str) -> ColumnElement[bool]:
        """Whether a JSON object of texts has this entry."""
        ...

    def total(self, numbers: ColumnElement[Any]) -> ColumnElement[Any]:
        """The sum of ``numbers``, also where it is beyond 64 bits."""
        ...

    def tidy(self) -> None:
        """Give back what deleted rows left behind."""
        ...

    def close(self) -> None:
        """Finish what was begun, and let go of every connection."""
        ...


@contextmanager
def answering() -> Iterator[None]:
    """Say that the database does not answer in the words of the port.

    Raises:
        UnavailableError: it does not.
    """
    try:
        yield
    except (OperationalError, PoolTimeoutError) as error:
        raise UnavailableError(_code(error)) from error


def _code(error: BaseException) -> str:
    """The code of what went wrong first; taking it back may have failed too."""
    code = type(error).__qualname__
    told: BaseException | None = error
    while told is not None:
        found = getattr(told, "sqlite_errorname", None) or getattr(told, "sqlstate", None)
        code = found if isinstance(found, str) else code
        told = told.__context__
    return code


def chunks(items: Sequence[Any], size: int = 500) -> Iterator[Sequence[Any]]:
    """``items`` in pieces that fit into one statement."""
    for at in range(0, len(items), size):
        yield items[at : at + size]
