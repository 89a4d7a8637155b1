"""Emergence: `emergence+https://host` lists the turns of one session, oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from turnspan.dialects.emergence import LOST, turn_of
from turnspan.errors import ReaderError
from turnspan.readers.reader import Query
from turnspan.readers.service import Service

if TYPE_CHECKING:
    from turnspan.schema import Turn
    from turnspan.settings import Settings

__all__ = ["EmergenceReader", "from_url"]

ROOT: Final = "/talk2data"
PAGE_TURNS: Final = 20  # a page holds whole turns, however long they are


class EmergenceReader:
    """Reads the turns of a session; the dialect has no list of sessions."""

    dialect: str = "emergence"
    lost: frozenset[str] = LOST

    def __init__(self, url: str, *, settings: Settings) -> None:
        self._service: Service = Service(url, settings=settings, dialect=self.dialect, path=ROOT)

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return self._service.name

    def turns(self, query: Query) -> Iterator[Turn]:
        """Every page of the session.

        Raises:
            ReaderError: no session or no project is named.
        """
        if query.session_id is None or query.project_id is None:
            raise ReaderError(
                "turns of Emergence are listed by session, for one project",
                fix="give session_id=… and project_id=…",
            )
        return self._pages(query.session_id, query.project_id)

    def _pages(self, session_id: str, project_id: str) -> Iterator[Turn]:
        path = f"{ROOT}/chat/sessions/{quote(session_id, safe='')}/turns"
        number, page = 0, 1
        while page:
            asked = {"page": page, "limit": PAGE_TURNS, "order": "asc"}
            found = self._service.get(path, asked, {"x-project-id": project_id})
            items = self._service.items(found)
            for item in items:
                number += 1
                yield turn_of(item, session_id=session_id, number=number)
            page = self._next(found.get("pagination"), page) if items else 0

    def _next(self, told: object, page: int) -> int:
        """The page after ``page``; 0 where there is none."""
        following = told.get("next_page") if isinstance(told, dict) else None
        if following is None:
            return 0
        if not isinstance(following, int) or following <= page:
            raise self._service.unreadable("the page after a page comes before it")
        return following

    def close(self) -> None:
        """Close the connection."""
        self._service.close()


def from_url(url: str, *, settings: Settings) -> EmergenceReader:
    """A reader of ``url``; a key in it wins over `settings.api_key`.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """
    return EmergenceReader(url, settings=settings)
