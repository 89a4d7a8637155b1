"""Sonzai: `sonzai+https://host` reads the recent messages of one session, oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from turnspan.dialects.sonzai import LOST
from turnspan.dialects.sonzai_recent import turns_of
from turnspan.errors import ReaderError
from turnspan.readers.reader import Query
from turnspan.readers.service import Service

if TYPE_CHECKING:
    from turnspan.schema import Turn
    from turnspan.settings import Settings

__all__ = ["SonzaiReader", "from_url"]

ROOT: Final = "/api/v1"


class SonzaiReader:
    """Reads what a context tells of a session: its last messages, on one page.

    The dialect lists neither turns, sessions nor users.
    """

    dialect: str = "sonzai"
    lost: frozenset[str] = LOST

    def __init__(self, url: str, *, settings: Settings) -> None:
        self._service: Service = Service(url, settings=settings, dialect=self.dialect, path=ROOT)

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return self._service.name

    def turns(self, query: Query) -> Iterator[Turn]:
        """The turns of a session that its context tells of.

        Raises:
            ReaderError: agent, user or session is not named.
        """
        agent, user_id, session_id = query.agent, query.user_id, query.session_id
        if not (agent and user_id and session_id):
            raise ReaderError(
                "Sonzai tells what was said in one session of one user with one agent",
                fix="give agent=…, user_id=… and session_id=…",
            )
        return self._read(agent, user_id, session_id)

    def _read(self, agent: str, user_id: str, session_id: str) -> Iterator[Turn]:
        path = f"{ROOT}/agents/{quote(agent, safe='')}/context"
        found = self._service.get(path, {"userId": user_id, "sessionId": session_id})
        recent: Any = found.get("recent_turns")
        if not isinstance(recent, list) or not all(isinstance(each, dict) for each in recent):
            raise self._service.unreadable("a context has no list of objects as `recent_turns`")
        yield from turns_of(recent, session_id=session_id, agent=agent, user_id=user_id)

    def close(self) -> None:
        """Close the connection."""
        self._service.close()


def from_url(url: str, *, settings: Settings) -> SonzaiReader:
    """A reader of ``url``; a key in it wins over `settings.api_key`.

    Raises:
        ExporterError: the URL is malformed, or the key cannot stand in a header.
    """
    return SonzaiReader(url, settings=settings)
