"""The native Turns API: `https://host/base` is read page by page, newest turn first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from turnspan.readers.reader import Query
from turnspan.readers.service import Service
from turnspan.schema.wire import turn_of

if TYPE_CHECKING:
    from turnspan.schema import Turn
    from turnspan.settings import Settings

__all__ = ["HttpReader", "from_url"]

PATH: Final = "/v1/turns"
PAGE_TURNS: Final = 200


class HttpReader:
    """Reads a Turns API of ours: nothing is lost."""

    dialect: str = "native"
    lost: frozenset[str] = frozenset()

    def __init__(self, url: str, *, settings: Settings) -> None:
        self._service: Service = Service(url, settings=settings, path=PATH)

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return self._service.name

    def turns(self, query: Query) -> Iterator[Turn]:
        """Every page, until there is none."""
        asked = {
            "session_id": query.session_id,
            "agent": query.agent,
            "user_id": query.user_id,
            "since": query.since,
            "until": query.until,
            "limit": PAGE_TURNS,
            "cursor": None,
        }
        for item in self._service.pages(PATH, asked):
            yield turn_of(dict(item))

    def close(self) -> None:
        """Close the connection."""
        self._service.close()


def from_url(url: str, *, settings: Settings) -> HttpReader:
    """A reader of ``url``; a key in it wins over `settings.api_key`.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """
    return HttpReader(url, settings=settings)
