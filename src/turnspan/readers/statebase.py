"""StateBase: `statebase+https://host` lists sessions, and the turns of each, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from turnspan.dialects.statebase import NOT_CARRIED, is_parked, parked_session_id, turn_of
from turnspan.readers.reader import Query
from turnspan.readers.service import Service
from turnspan.schema import Cut

if TYPE_CHECKING:
    from turnspan.schema import Turn
    from turnspan.settings import Settings

__all__ = ["StatebaseReader", "from_url"]

PATH: Final = "/v1/sessions"
PAGE_ITEMS: Final = 50
_CUTS: Final = tuple(
    Cut(where=name, why="not carried by statebase") for name in sorted(NOT_CARRIED)
)


class StatebaseReader:
    """Reads the turns of every session, or of one.

    A turn that turnspan logged is read whole, and is found by the session it was recorded in;
    one that another program logged says which fields StateBase did not carry.
    """

    dialect: str = "statebase"
    lost: frozenset[str] = frozenset()

    def __init__(self, url: str, *, settings: Settings) -> None:
        self._service: Service = Service(url, settings=settings, dialect=self.dialect, path=PATH)
        # By this header a server of ours knows StateBase's client.
        self._headers: dict[str, str] = {"x-api-key": self._service.key or "none"}

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return self._service.name

    def turns(self, query: Query) -> Iterator[Turn]:
        """Session by session, page by page."""
        for session in self._sessions(query.session_id):
            agent, user_id = str(session.get("agent_id") or ""), session.get("user_id")
            for item in self._pages(f"{PATH}/{quote(str(session.get('id')), safe='')}/turns"):
                turn = turn_of(item, agent=agent, user_id=user_id)
                yield turn if is_parked(item.get("metadata")) else _marked(turn)

    def close(self) -> None:
        """Close the connection."""
        self._service.close()

    def _sessions(self, session_id: str | None) -> Iterator[Mapping[str, Any]]:
        if session_id is None:
            yield from self._pages(PATH)
            return
        found = self._service.find(f"{PATH}/{quote(session_id, safe='')}", None, self._headers)
        if found is not None:
            yield found
            return
        for session in self._pages(PATH):
            if parked_session_id(session.get("metadata")) == session_id:
                yield session

    def _pages(self, path: str) -> Iterator[Mapping[str, Any]]:
        """The items of every page of a list."""
        asked: dict[str, Any] = {"limit": PAGE_ITEMS}
        seen: set[str] = set()
        while True:
            page = self._service.get(path, asked, self._headers)
            items = self._service.items(page)
            yield from items
            # Not every page of theirs says whether there are more.
            if not items or not page.get("has_more", len(items) == PAGE_ITEMS):
                return
            asked["starting_after"] = self._service.onward(items[-1].get("id"), seen)


def from_url(url: str, *, settings: Settings) -> StatebaseReader:
    """A reader of ``url``; a key in it wins over `settings.api_key`.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """
    return StatebaseReader(url, settings=settings)


def _marked(turn: Turn) -> Turn:
    return turn.model_copy(update={"truncated": turn.truncated + _CUTS})
