"""StateBase: `statebase+https://api.statebase.org` logs each turn in a session there.

The service gives sessions ids of its own: ours is in the metadata of the session, by which a
session is found again after a restart. What a turn of StateBase has no field for is parked in its
metadata (turnspan.dialects.statebase). Feedback has no place there.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import orjson

from turnspan.dialects.statebase import lean, parked_session_id, request_of, session_request_of
from turnspan.errors import WireError
from turnspan.exporters._address import Address, checked_key
from turnspan.exporters._answer import Answer
from turnspan.exporters._client import HttpClient
from turnspan.ports import JournalledTurn, Outcome
from turnspan.schema.wire import decode_turn

if TYPE_CHECKING:
    from turnspan.schema import Turn
    from turnspan.settings import Settings

__all__ = ["StatebaseExporter", "from_url"]

PATH: Final = "/v1/sessions"
MAX_REMEMBERED: Final = 10_000
PAGES_SEARCHED: Final = 10
PAGE_SESSIONS: Final = 100
MAX_ANSWER_BYTES: Final = 16 * 2**20
_GONE: Final = 404
_TOO_LARGE: Final = 413
_NOT_THERE: Final = frozenset({400, 404, 422})


@dataclass(frozen=True, slots=True)
class _Place:
    """The session of a turn on the service, or the answer that says why there is none."""

    id: str = ""
    fault: Answer | None = None


class StatebaseExporter:
    """Logs turns one by one, in their order, each with an `Idempotency-Key` made of its id.

    A turn that the service refuses is refused alone. One that is too large for it (413) is
    sent again without its steps, messages and resource. Without ``api_key`` the user info
    of ``url`` is the key; neither is ever shown.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        address = Address.parse(url, path=PATH, dialect="statebase")
        key = checked_key(api_key, address.name) if api_key else address.key
        self._address = address
        self._headers = {"content-type": "application/json", "x-api-key": key or "none"}
        self._client = HttpClient(secret=key)
        self._places: OrderedDict[str, str] = OrderedDict()  # their ids by ours
        self._until_s = 0.0

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return self._address.name

    def export(self, batch: Sequence[JournalledTurn], *, timeout_s: float) -> Outcome:
        """Log the turns of ``batch``; from the first that meets a fault of the service, none."""
        self._until_s = time.monotonic() + timeout_s
        refused: dict[int, str] = {}
        # Iterated once, in order: a batch of delivery stands back for the caller meanwhile.
        for index, journalled in enumerate(batch):
            try:
                answer = self._sent(decode_turn(journalled.raw))
            except WireError as exc:
                refused[index] = exc.what
                continue
            if answer.is_of_turns:
                refused[index] = answer.told()
            elif not answer.accepted:
                return _unsent(answer, refused, index, len(batch))
        return Outcome(refused)

    def close(self, *, timeout_s: float) -> None:  # closing a socket waits for nobody
        """Close the connection."""
        self._client.close()

    def __repr__(self) -> str:
        return f"StatebaseExporter({self.name!r})"

    def _sent(self, turn: Turn) -> Answer:
        place = self._place(turn)
        answer = place.fault or self._logged(turn, place.id)
        if place.fault is None and answer.status == _GONE:  # it has expired, or was deleted
            self._places.pop(turn.session_id or "", None)
            place = self._made(turn, again=True)
            answer = place.fault or self._logged(turn, place.id)
        return answer

    def _logged(self, turn: Turn, session: str) -> Answer:
        path = f"/{quote(session, safe='')}/turns"
        key = turn.id + (".interrupted" if turn.status == "interrupted" else "")
        answer = self._post(path, request_of(turn), key)
        if answer.status == _TOO_LARGE:
            answer = self._post(path, request_of(lean(turn)), f"{key}.lean")
        return answer

    def _place(self, turn: Turn) -> _Place:
        """Where ``turn`` belongs: a session we know, one that is found, or one that is made."""
        known = self._places.get(turn.session_id or "")
        if known is not None:
            self._places.move_to_end(turn.session_id or "")
            return _Place(known)
        place = self._found(turn) if turn.session_id is not None else _Place()
        if not place.id and place.fault is None:
            place = self._made(turn)
        return self._remembered(turn, place)

    def _remembered(self, turn: Turn, place: _Place) -> _Place:
        if place.id and turn.session_id is not None:
            self._places[turn.session_id] = place.id
            if len(self._places) > MAX_REMEMBERED:
                self._places.popitem(last=False)
        return place

    def _found(self, turn: Turn) -> _Place:
        """The session of ``turn`` that is there from before, if there can be one."""
        is_theirs = str(turn.session_id).startswith("sess_")
        if turn.number == 1 and not is_theirs:
            return _Place()
        answer = self._get(f"/{quote(str(turn.session_id), safe='')}")
        if answer.status in _NOT_THERE and not answer.cause:
            return self._searched(turn) if turn.number != 1 else _Place()
        return _place_in(answer)

    def _searched(self, turn: Turn) -> _Place:
        """The session whose metadata names ours, among the newest of the agent."""
        asked = {"agent_id": turn.agent.name, "limit": PAGE_SESSIONS}
        for _ in range(PAGES_SEARCHED):
            answer = self._get(f"?{urlencode(asked)}")
            if not answer.accepted:
                return _Place(fault=answer)
            page = _object(answer)
            sessions = [each for each in page.get("data") or () if isinstance(each, Mapping)]
            for each in sessions:
                if parked_session_id(each.get("metadata")) == turn.session_id:
                    return _Place(str(each.get("id")))
            if not sessions or not page.get("has_more"):
                break
            asked["starting_after"] = str(sessions[-1].get("id"))
        return _Place()

    def _made(self, turn: Turn, *, again: bool = False) -> _Place:
        # A session that is gone would be answered to its old key for a day.
        of_turn = turn.id if again or turn.session_id is None else ""
        key = f"session {turn.session_id} {of_turn}"
        return self._remembered(turn, _place_in(self._post("", session_request_of(turn), key)))

    def _post(self, path: str, body: Mapping[str, Any], key: str) -> Answer:
        # A hash, for an id may hold what no header can.
        drawn = hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=16).hexdigest()
        headers = {**self._headers, "idempotency-key": drawn}
        left_s = max(self._until_s - time.monotonic(), 0.001)
        url = self._address.endpoint + path
        return self._client.post(url, orjson.dumps(body), headers, timeout_s=left_s)

    def _get(self, path: str) -> Answer:
        left_s = max(self._until_s - time.monotonic(), 0.001)
        return self._client.get(
            self._address.endpoint + path,
            self._headers,
            timeout_s=left_s,
            max_bytes=MAX_ANSWER_BYTES,
        )


def from_url(url: str, *, settings: Settings) -> StatebaseExporter:
    """An exporter to ``url``; a key in it wins over `settings.api_key`.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """
    key = None if Address.parse(url, path=PATH, dialect="statebase").key else settings.api_key
    return StatebaseExporter(url, api_key=key)


def _unsent(answer: Answer, refused: Mapping[int, str], start: int, count: int) -> Outcome:
    """From ``start`` on nothing arrived, through a fault of the service."""
    seen = answer.outcome(1)
    return Outcome(
        refused=refused,
        unsent=frozenset(range(start, count)),
        cause=seen.cause,
        status=seen.status,
        retry_after_s=seen.retry_after_s,
    )


def _place_in(answer: Answer) -> _Place:
    if not answer.accepted:
        return _Place(fault=answer)
    found = _object(answer).get("id")
    if isinstance(found, str) and found:
        return _Place(found)
    return _Place(fault=Answer(answer.status, cause="a session came without an id"))


def _object(answer: Answer) -> Mapping[str, Any]:
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
