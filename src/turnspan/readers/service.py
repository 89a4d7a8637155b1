"""An API that is read over HTTP: JSON for a path, asked again where that may help."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, cast
from urllib.parse import urlencode

import orjson

from turnspan.errors import ReaderError
from turnspan.exporters._address import Address, checked_key
from turnspan.exporters._answer import Answer, parse_retry_after
from turnspan.exporters._client import HttpClient
from turnspan.settings import Settings

__all__ = ["Service"]

TIMEOUT_S: Final = 30.0
ATTEMPTS: Final = 5
BACKOFF_S: Final = 0.25
LONGEST_WAIT_S: Final = 60.0
MAX_ANSWER_BYTES: Final = 64 * 2**20
PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIXES: Final = {
    401: "give the key of the service: api_key=…, https://KEY@host or TURNSPAN_API_KEY",
    403: "use a key that may read here, and a project it belongs to",
    404: "compare the URL, and the ids, with what the service has",
}


class Service:
    """Answers GETs with JSON. One call at a time; nothing is opened before the first.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """

    def __init__(
        self, url: str, *, settings: Settings, dialect: str = "", path: str = "/v1"
    ) -> None:
        address = Address.parse(url, path=path, dialect=dialect)
        given = settings.api_key
        self.key: str | None = address.key or (checked_key(given, address.name) if given else None)
        self.name: str = address.name
        self._base: str = address.base
        self._client: HttpClient = HttpClient(secret=self.key)
        self._headers: dict[str, str] = {"accept": "application/json"}
        if self.key:
            self._headers["authorization"] = f"Bearer {self.key}"

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """The object at ``path``; parameters that are None are left out.

        Raises:
            ReaderError: no answer after some attempts, a refusal, or no JSON object.
        """
        found = self.find(path, params, headers, none_at=())
        return {} if found is None else found

    def find(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        none_at: Collection[int] = (404,),
    ) -> Mapping[str, Any] | None:
        """As `get`, but None where it is answered with one of ``none_at``.

        Raises:
            ReaderError: as `get`.
        """
        asked = [(name, str(value)) for name, value in (params or {}).items() if value is not None]
        url = self._base + path + (f"?{urlencode(asked)}" if asked else "")
        sent = {**self._headers, **(headers or {})}
        answer = self._answer(url, sent)
        if not answer.cause and answer.status in none_at:
            return None
        if not answer.accepted:
            raise ReaderError(
                f"{self.name} gives no turns: {answer.cause or answer.told()}",
                fix=_FIXES.get(answer.status or 0, "see that it is there and works"),
            )
        try:
            found = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise self.unreadable("its answer is no JSON object")
        return cast("Mapping[str, Any]", found)

    def pages(self, path: str, params: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The items of a listing that says `data` and `next_cursor`, page after page."""
        asked = dict(params)
        seen: set[str] = set()
        while True:
            page = self.get(path, asked)
            yield from self.items(page)
            if not page.get("next_cursor"):
                return
            asked["cursor"] = self.onward(page["next_cursor"], seen)

    def onward(self, mark: object, seen: set[str]) -> str:
        """``mark``, where a listing goes on, which is not among those ``seen``; now it is.

        Raises:
            ReaderError: the listing would begin again, and never end.
        """
        if not isinstance(mark, str) or mark in seen:
            raise self.unreadable("its pages go round in a circle")
        seen.add(mark)
        return mark

    def items(self, page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The items of one page.

        Raises:
            ReaderError: it is no page.
        """
        data = page.get("data")
        if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
            raise self.unreadable("a page has no list of objects as its `data`")
        return data

    def unreadable(self, why: str) -> ReaderError:
        """What to raise for an answer that is not what the dialect says."""
        return ReaderError(
            f"{self.name} cannot be read: {why}", fix="see that the URL names the right dialect"
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _answer(self, url: str, headers: Mapping[str, str]) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            answer = self._client.get(url, headers, timeout_s=TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES)
            passes = answer.status is None or answer.status in PASSING
            if not passes or attempt == ATTEMPTS:
                return answer
            asked_s = parse_retry_after(answer.headers.get("retry-after", ""))
            wait_s = BACKOFF_S * 2**attempt * random.random() if asked_s is None else asked_s
            time.sleep(min(wait_s, LONGEST_WAIT_S))
