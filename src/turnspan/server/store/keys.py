"""API keys: shown once, kept as a digest.

A key is `uniq_live_` and 43 characters: 8 that name it, 35 that nobody else knows (208 bits,
so a plain digest is as good as a slow one). The client of uniqOS refuses any other beginning
before it asks; all other clients take any. What stands before the last `_` is no part of the
secret: `sb_…` and `sk_…` with the same characters are the same key.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, insert, select, update

from turnspan.server.store.port import Key
from turnspan.server.store.rows import clean
from turnspan.server.store.tables import keys

if TYPE_CHECKING:
    from turnspan.server.ids import ServerIds

__all__ = ["PREFIX", "all_keys", "create", "find", "revoke"]

PREFIX: Final = "uniq_live_"
ID_CHARS: Final = 8
SECRET_CHARS: Final = 43
_NOBODY: Final = b"\0" * 32


def create(
    connection: Connection,
    ids: ServerIds,
    now_ns: int,
    *,
    project: str,
    name: str,
    scopes: frozenset[str],
) -> tuple[Key, str]:
    """Make a key; the second value is its secret."""
    secret = ids.secret(SECRET_CHARS)
    row = {
        "id": secret[:ID_CHARS],
        "project": clean(project),
        "name": clean(name),
        "scopes": " ".join(sorted(scopes)),
        "digest": _digest(secret),
        "created_at": now_ns,
    }
    connection.execute(insert(keys), row)
    made = connection.execute(select(keys).where(keys.c.id == row["id"])).one()
    return _key(made), PREFIX + secret


def all_keys(connection: Connection) -> list[Key]:
    """All keys, oldest first."""
    asked = select(keys).order_by(keys.c.created_at, keys.c.id)
    return [_key(row) for row in connection.execute(asked)]


def revoke(connection: Connection, key_id: str, now_ns: int) -> Key | None:
    """End a key; one that has ended stays as it is."""
    own = keys.c.id == clean(key_id)
    connection.execute(
        update(keys).where(own, keys.c.revoked_at.is_(None)).values(revoked_at=now_ns)
    )
    row = connection.execute(select(keys).where(own)).first()
    return None if row is None else _key(row)


def find(connection: Connection, given: str) -> Key | None:
    """The key of this secret, unless it is revoked."""
    secret = given.rpartition("_")[2]
    asked = select(keys).where(keys.c.id == clean(secret[:ID_CHARS]))
    row = connection.execute(asked).first()
    known = _NOBODY if row is None else bytes(row.digest)
    is_it = hmac.compare_digest(known, _digest(secret))
    return _key(row) if is_it and row is not None and row.revoked_at is None else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _key(row: Any) -> Key:
    return Key(
        id=row.id,
        project=row.project,
        name=row.name,
        scopes=frozenset(row.scopes.split()),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
