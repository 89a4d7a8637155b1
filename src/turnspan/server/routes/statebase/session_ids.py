"""Ids of sessions at the end of a path, where clients leave slashes alone."""

from __future__ import annotations

from starlette.convertors import register_url_convertor

from turnspan.server.segments import Segments

__all__ = ["register"]


class _Session(Segments):
    """`{id:session}`: everything, but for what belongs to a session, such as `ID/turns`."""

    regex = "(?:(?!/(?:turns(?:/[^/]+)?|state(?:/(?:history|rollback))?|context|fork|rollback)$).)+"


def register() -> None:
    """Make it known to the routes that are declared from now on."""
    register_url_convertor("session", _Session())
