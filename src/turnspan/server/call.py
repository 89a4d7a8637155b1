"""One request as the routes see it: who asks, in which dialect, and with what left."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.security import SecurityScopes

from turnspan.server.limits import Allowance, Limits
from turnspan.server.problem import Problem
from turnspan.server.store.port import Store, TurnStore

if TYPE_CHECKING:
    from turnspan.ports import Clock
    from turnspan.server.dialect import Dialect
    from turnspan.server.ids import ServerIds

__all__ = ["SCOPE", "Access", "Call", "Calling", "Erasing", "Reading", "Writing", "call_of"]

SCOPE: Final = "turnspan.call"


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks: a key's project and scopes, or anybody on a server without keys."""

    project: str
    scopes: frozenset[str]
    key_id: str | None = None
    """None on a server without keys."""
    key_name: str = "anonymous"

    @property
    def is_open(self) -> bool:
        """Whether the server has no keys, so that nobody is asked for one."""
        return self.key_id is None

    def owns(self, project: str) -> bool:
        """Whether ``project`` is this caller's; on a server without keys every one is."""
        return self.is_open or project == self.project


@dataclass(slots=True, kw_only=True)
class Call:
    """What the gate learned of a request before it let it in."""

    request_id: str
    """A ULID; it is on the answer as `X-Request-Id`."""
    dialect: Dialect
    clock: Clock
    ids: ServerIds
    limits: Limits
    storage: Store
    access: Access | None = None
    allowance: Allowance | None = None
    method: str = ""
    path: str = ""
    """As it came, percent-encoded, without the dialect's prefix."""
    query: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    """The whole body, decompressed."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What a dialect wants to remember until its `headers` are asked for."""

    @property
    def caller(self) -> Access:
        """Who asks.

        Raises:
            Problem: nobody is known (a public path).
        """
        if self.access is None:
            raise Problem(401, "unauthenticated", "this needs an API key")
        return self.access

    @property
    def fingerprint(self) -> str:
        """The same for the same request: its method, path, query and body."""
        head = b"\0".join([self.method.encode(), self.path.encode(), self.query])
        return hashlib.blake2b(head + b"\0" + self.body, digest_size=16).hexdigest()


def call_of(request: Request) -> Call:
    """The call behind ``request``."""
    found: Call = request.scope[SCOPE]
    return found


def _bound(scopes: SecurityScopes, call: Annotated[Call, Depends(call_of)]) -> TurnStore:
    for scope in scopes.scopes:
        if scope not in call.caller.scopes:
            raise Problem(
                403,
                "forbidden",
                f"this key lacks the scope {scope!r}",
                extra={"required_scope": scope},
            )
    return call.storage.of(call.caller.project)


Calling = Annotated[Call, Depends(call_of)]
"""The call: request id, clock, ids, who asks."""
Reading = Annotated[TurnStore, Security(_bound, scopes=["read"])]
"""What the caller's project has stored, for a key with the scope `read`."""
Writing = Annotated[TurnStore, Security(_bound, scopes=["write"])]
"""The same for `write`."""
Erasing = Annotated[TurnStore, Security(_bound, scopes=["admin"])]
"""The same for `admin`."""
