"""Keys, remembered for a moment: a request asks the database for its key once a second."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from turnspan.ports import Clock
    from turnspan.server.store.port import Key, Store

__all__ = ["FRESH_S", "KeyRing"]

FRESH_S: Final = 1.0
"""How long a revoked key may go on to work."""
MAX_REMEMBERED: Final = 10_000


class KeyRing:
    """What the store says of keys, at most `FRESH_S` old. For one event loop."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._now_ns = clock.monotonic_ns
        self._found: dict[bytes, tuple[Key | None, int]] = {}
        self._any: tuple[bool, int] | None = None

    async def is_empty(self) -> bool:
        """Whether the server has no key at all, revoked ones included."""
        known = self._any
        if known is None or (not known[0] and self._is_old(known[1])):
            known = self._any = (await run_in_threadpool(self._has_any), self._now_ns())
        return not known[0]

    async def find(self, secret: str) -> Key | None:
        """The key of ``secret``, unless there is none or it is revoked."""
        digest = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
        known = self._found.get(digest)
        if known is None or self._is_old(known[1]):
            key = await run_in_threadpool(self._store.key_for, secret)
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()
            known = self._found[digest] = (key, self._now_ns())
        return known[0]

    def _has_any(self) -> bool:
        return bool(self._store.all_keys())

    def _is_old(self, at_ns: int) -> bool:
        return self._now_ns() - at_ns >= FRESH_S * 1e9
