"""The Turns API over HTTP: `https://host/base` posts turns and feedback to `/v1/turns`.

The journalled lines are the wire format: they are joined, compressed and sent as they are.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from turnspan.exporters._address import Address, checked_key
from turnspan.exporters._client import HttpClient
from turnspan.exporters.identity import record_id
from turnspan.ports import Journalled, Outcome

if TYPE_CHECKING:
    from turnspan.settings import Settings

__all__ = ["HttpExporter", "from_url"]

PATH: Final = "/v1/turns"
GZIP_LEVEL: Final = 1  # a third of level 6's time for a tenth more bytes
GZIP_WBITS: Final = 31


class HttpExporter:
    """Posts turns, and feedback among them, as NDJSON, gzipped, to a Turns API.

    A batch carries an `Idempotency-Key` made of its bytes, so one that is sent again is
    known. Without ``api_key`` the user info of ``url`` is the key; neither is ever shown.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """

    takes_feedback = True

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        address = Address.parse(url, path=PATH)
        key = checked_key(api_key, address.name) if api_key else address.key
        self._address = address
        self._headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._client = HttpClient(secret=key)

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return self._address.name

    def export(self, batch: Sequence[Journalled], *, timeout_s: float) -> Outcome:
        """Post ``batch`` in one request."""
        if not batch:
            return Outcome()
        # Iterated once, in order: a batch of delivery stands back for the caller meanwhile.
        body = zlib.compress(b"".join(_lines(batch)), GZIP_LEVEL, wbits=GZIP_WBITS)
        key = hashlib.blake2b(body, digest_size=16).hexdigest()
        headers = {**self._headers, "idempotency-key": key}
        answer = self._client.post(self._address.endpoint, body, headers, timeout_s=timeout_s)
        if answer.accepted:
            return Outcome(refused=_refused(answer.body, batch))
        return answer.outcome(len(batch))

    def close(self, *, timeout_s: float) -> None:  # closing a socket waits for nobody
        """Close the connection."""
        self._client.close()

    def __repr__(self) -> str:
        return f"HttpExporter({self.name!r})"


def from_url(url: str, *, settings: Settings) -> HttpExporter:
    """An exporter to ``url``; a key in it wins over `settings.api_key`.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """
    key = None if Address.parse(url, path=PATH).key else settings.api_key
    return HttpExporter(url, api_key=key)


def _lines(batch: Sequence[Journalled]) -> Iterator[bytes]:
    for each in batch:
        yield each.raw if each.raw.endswith(b"\n") else each.raw + b"\n"


def _refused(body: bytes, batch: Sequence[Journalled]) -> dict[int, str]:
    """What the answer refuses, by index; an answer of another shape refuses none.

    A result that says neither which line nor which id it is about, is about none.
    """
    if b"refused" not in body:
        return {}
    ids = [record_id(batch[index].raw) for index in range(len(batch))]
    refused: dict[int, str] = {}
    for item in _refusals(body):
        reason = str(item.get("error") or "refused without a reason")
        refused |= dict.fromkeys(_meant(item, ids), reason)
    return refused


def _meant(item: Mapping[str, Any], ids: Sequence[str | None]) -> Sequence[int]:
    """The lines that ``item`` is about: the one it counts, unless that one has another id."""
    index, id = item.get("index"), item.get("id")
    if type(index) is int and 0 <= index < len(ids) and (id is None or id == ids[index]):
        return (index,)
    return [place for place, known in enumerate(ids) if known is not None and known == id]


def _refusals(body: bytes) -> Iterator[Mapping[str, Any]]:
    import orjson

    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    results = answer.get("results") if isinstance(answer, Mapping) else None
    for item in results if isinstance(results, list) else ():
        if isinstance(item, Mapping) and item.get("status") == "refused":
            yield item
