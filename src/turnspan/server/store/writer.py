"""The one thread that writes to an SQLite database, and what shares its transactions."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine

__all__ = ["WriterThread"]

Result = TypeVar("Result")
_Work = tuple[Callable[[Connection], Any], Future[Any]]
_GROUP: Final = 64


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

    def _commit(self, group: Sequence[_Work]) -> None:
        """Commit ``group`` together, or one by one where one took all the others back."""
        try:
            with self._engine.begin() as connection:
                results = list(_done(connection, group))
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


def _done(connection: Connection, group: Sequence[_Work]) -> Iterator[tuple[Future[Any], Any]]:
    """What each work of ``group`` results in; one that fails is told so at once.

    Raises:
        _UndoneError: one ended the transaction when it failed.
    """
    for work, done in group:
        try:
            with connection.begin_nested():
                result = work(connection)
        except Exception as error:
            if len(group) > 1 and not _is_in_transaction(connection):
                raise _UndoneError from error
            done.set_exception(error)
        else:
            yield done, result


def _is_in_transaction(connection: Connection) -> bool:
    return bool(getattr(connection.connection.driver_connection, "in_transaction", False))
