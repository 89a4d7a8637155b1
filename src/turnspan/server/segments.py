"""Ids in paths: `{id:segment}`, and `{id:segments}` where clients leave slashes alone."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.convertors import Convertor, register_url_convertor

__all__ = ["Segments", "register"]


class _Segment(Convertor[str]):
    """`{id:segment}`: one segment of the path, decoded; a `%2F` in it is part of the id."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return unquote(value)

    def to_string(self, value: str) -> str:
        return value


class Segments(_Segment):
    """`{id:segments}`: the same with slashes, for clients that do not encode them."""

    regex = ".+"


def register() -> None:
    """Make both known to the routes that are declared from now on."""
    register_url_convertor("segment", _Segment())
    register_url_convertor("segments", Segments())
