"""uniqOS: `uniqos+https://host` lists interactions, newest first, of the last 180 days."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from turnspan.dialects.instants import iso_of
from turnspan.dialects.uniqos import LOST, turn_of
from turnspan.readers.reader import Query
from turnspan.readers.service import Service

if TYPE_CHECKING:
    from turnspan.schema import Turn
    from turnspan.settings import Settings

__all__ = ["UniqosReader", "from_url"]

PATH: Final = "/v1/interactions"
PAGE_TURNS: Final = 100
MS: Final = 10**6


class UniqosReader:
    """Reads the traces of interactions: who, when, how long and how it ended, never what."""

    dialect: str = "uniqos"
    lost: frozenset[str] = LOST

    def __init__(self, url: str, *, settings: Settings) -> None:
        self._service: Service = Service(url, settings=settings, dialect=self.dialect)

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return self._service.name

    def turns(self, query: Query) -> Iterator[Turn]:
        """Every page, until there is none."""
        asked = {
            "user_id": query.user_id,
            "relationship_id": query.session_id,
            "from": None if query.since is None else iso_of(query.since // MS * MS),
            "to": None if query.until is None else iso_of(-(-query.until // MS) * MS),
            "limit": PAGE_TURNS,
            "cursor": None,
        }
        yield from map(turn_of, self._service.pages(PATH, asked))

    def close(self) -> None:
        """Close the connection."""
        self._service.close()


def from_url(url: str, *, settings: Settings) -> UniqosReader:
    """A reader of ``url``; a key in it wins over `settings.api_key`.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """
    return UniqosReader(url, settings=settings)
