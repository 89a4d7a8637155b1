"""Sonzai: `sonzai+https://KEY@api.sonz.ai` submits each turn to its session.

What the service has no field for is left out: docs/dialects/sonzai.md lists it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

from turnspan.dialects.sonzai import agent_of, key_of, request_of, session_of, user_of
from turnspan.errors import WireError
from turnspan.exporters._address import Address, checked_key
from turnspan.exporters._answer import Answer
from turnspan.exporters._client import HttpClient
from turnspan.ports import Outcome

if TYPE_CHECKING:
    from turnspan.schema import Turn
    from turnspan.schema.journalled import JournalledTurn
    from turnspan.settings import Settings

__all__ = ["SonzaiExporter", "from_url"]

ROOT: Final = "/api/v1"
MAX_STARTED: Final = 4096
_NO_SUCH_AGENT: Final = 404
_THERE_ALREADY: Final = 409


class SonzaiExporter:
    """Submits turns one by one, in their order, and starts each session before its first.

    A turn is sent under its id as idempotency key, so one that is sent again is known. The
    user info of ``url``, or ``api_key``, is the key; neither is ever shown. Feedback has no
    place in this dialect and is not taken.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        address = Address.parse(url, path=ROOT, dialect="sonzai")
        key = checked_key(api_key, address.name) if api_key else address.key
        self._address = address
        self._headers = {"content-type": "application/json", "accept": "application/json"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._client = HttpClient(secret=key)
        self._started: dict[tuple[str, str, str], None] = {}

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return self._address.name

    def export(self, batch: Sequence[JournalledTurn], *, timeout_s: float) -> Outcome:
        """Submit the turns of ``batch``; where the service fails, the rest stays unsent.

        An agent that the service doesn't know keeps back its own turns only.
        """
        until_s = time.monotonic() + timeout_s
        refused: dict[int, str] = {}
        unsent: set[int] = set()
        unknown: set[str] = set()
        failed: Answer | None = None
        for index, turn in _decoded(batch, refused):
            agent = agent_of(turn)
            if agent in unknown:
                unsent.add(index)
                continue
            answer = self._submit(turn, until_s)
            if answer.accepted:
                continue
            if answer.is_of_turns:
                refused[index] = answer.told()
                continue
            unsent.add(index)
            failed = failed or answer
            if answer.status != _NO_SUCH_AGENT:
                unsent |= set(range(index + 1, len(batch)))
                break
            unknown.add(agent)
        return _outcome(refused, unsent, failed)

    def close(self, *, timeout_s: float) -> None:  # closing a socket waits for nobody
        """Close the connection."""
        self._client.close()

    def __repr__(self) -> str:
        return f"SonzaiExporter({self.name!r})"

    def _submit(self, turn: Turn, until_s: float) -> Answer:
        body = request_of(turn)
        if not body["messages"]:
            said = b"neither its input, its output nor a call of a tool is a text"
            return Answer(422, said)
        started = self._start(turn, until_s)
        if not started.accepted:
            return started
        session = quote(session_of(turn), safe="")
        path = f"/agents/{quote(agent_of(turn), safe='')}/sessions/{session}/turn"
        return self._post(path, body, key_of(turn), until_s)

    def _start(self, turn: Turn, until_s: float) -> Answer:
        """Start the session of ``turn``, once a process; that it was started before is fine."""
        who = (agent_of(turn), session_of(turn), user_of(turn))
        if who in self._started:
            return Answer(200)
        body = {"user_id": who[2], "session_id": who[1]}
        key = "start-" + hashlib.blake2b(orjson.dumps(who), digest_size=16).hexdigest()
        path = f"/agents/{quote(who[0], safe='')}/sessions/start"
        answer = self._post(path, body, key, until_s)
        if not answer.accepted and answer.status != _THERE_ALREADY:
            return answer
        if len(self._started) >= MAX_STARTED:
            del self._started[next(iter(self._started))]
        self._started[who] = None
        return Answer(200)

    def _post(self, path: str, body: dict[str, Any], key: str, until_s: float) -> Answer:
        return self._client.post(
            self._address.endpoint + path,
            orjson.dumps(body),
            {**self._headers, "idempotency-key": key},
            timeout_s=until_s - time.monotonic(),
        )


def from_url(url: str, *, settings: Settings) -> SonzaiExporter:
    """An exporter to ``url``; a key in it wins over `settings.api_key`.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """
    key = None if Address.parse(url, path=ROOT, dialect="sonzai").key else settings.api_key
    return SonzaiExporter(url, api_key=key)


def _decoded(
    batch: Sequence[JournalledTurn], refused: dict[int, str]
) -> Iterator[tuple[int, Turn]]:
    """The turns of ``batch`` with their places; what is none is put into ``refused``."""
    for index, each in enumerate(batch):
        try:
            turn = each.turn
        except WireError as error:
            refused[index] = error.what
        else:
            yield index, turn


def _outcome(refused: dict[int, str], unsent: set[int], failed: Answer | None) -> Outcome:
    if failed is None:
        return Outcome(refused=refused)
    told = failed.outcome(1)
    return Outcome(
        refused=refused,
        unsent=frozenset(unsent - refused.keys()),
        cause=told.cause,
        status=told.status,
        retry_after_s=told.retry_after_s,
    )
