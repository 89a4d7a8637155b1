"""What the statements of the store are given: a connection, a project, a clock and ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from turnspan.server.ids import ServerIds
    from turnspan.server.store.backend import Backend

__all__ = ["Transaction"]


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction of one project."""

    connection: Connection
    project: str
    backend: Backend
    ids: ServerIds
    now_ns: int
