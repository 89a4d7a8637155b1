"""Keys, remembered for a moment: a request asks the database for its key once a second."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from turnspan.ports import Clock
    from turnspan.server.store.port import Key, Store

__all__ = ["FRESH_S", "KeyRing"]

FRESH_S: Final = 1.0
"""How long a revoked key may go on to work."""
MAX_REMEMBERED: Final = 10_000


class KeyRing:
    """What the store says of keys, at most `FRESH_S` old. Thread-safe."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[bytes, tuple[Key | None, int]] = {}
        self._any: tuple[bool, int] | None = None

    def is_empty(self) -> bool:
        """Whether the server has no key at all, revoked ones included."""
        now_ns = self._clock.monotonic_ns()
        known = self._any
        if known is None or (not known[0] and _is_old(known[1], now_ns)):
            known = self._any = (bool(self._store.all_keys()), now_ns)
        return not known[0]

    def find(self, secret: str) -> Key | None:
        """The key of ``secret``, unless there is none or it is revoked."""
        digest = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
        now_ns = self._clock.monotonic_ns()
        known = self._found.get(digest)
        if known is not None and not _is_old(known[1], now_ns):
            return known[0]
        key = self._store.key_for(secret)
        with self._lock:
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()
            self._found[digest] = (key, now_ns)
        return key


def _is_old(at_ns: int, now_ns: int) -> bool:
    return now_ns - at_ns >= FRESH_S * 1e9
