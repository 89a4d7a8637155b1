"""Where the server keeps turns: `open_store` finds the database by its URL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from turnspan.errors import StoreError

if TYPE_CHECKING:
    from turnspan.ports import Clock
    from turnspan.server.store.backend import Backend
    from turnspan.server.store.sql import SqlStore

__all__ = ["open_store"]


def open_store(url: str, *, clock: Clock | None = None) -> SqlStore:
    """The store at ``url``: a path, `sqlite:///PATH` or `postgresql://…`; migrated if need be.

    Raises:
        StoreError: it cannot be opened, or is of a later version of turnspan.
    """
    from turnspan.clock import SystemClock
    from turnspan.server.ids import ServerIds
    from turnspan.server.store.sql import SqlStore

    clock = clock or SystemClock()
    return SqlStore(_backend(url, clock.now_ns()), clock=clock, ids=ServerIds(clock))


def _backend(url: str, now_ns: int) -> Backend:
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme in {"postgres", "postgresql"}:
        from turnspan.server.store.postgresql import PostgreSQL

        return PostgreSQL(url, now_ns=now_ns)
    if scheme not in {"", "sqlite"}:
        raise StoreError(
            f"a store cannot be {scheme}://", fix="name a file, or postgresql://HOST/DATABASE"
        )
    from turnspan.server.store.sqlite import Sqlite

    path = unquote(url.removeprefix("sqlite:///")) if scheme else url
    return Sqlite(_prepared(path), now_ns=now_ns)


def _prepared(path: str) -> str:
    """``path`` made absolute; its file is the owner's alone."""
    whole = os.path.abspath(os.path.expanduser(path))
    try:
        os.makedirs(os.path.dirname(whole), mode=0o700, exist_ok=True)
        os.close(os.open(whole, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(
            f"{whole} cannot be opened as a store: {error.strerror}",
            fix="name a file in a folder that may be written",
        ) from error
    return whole
