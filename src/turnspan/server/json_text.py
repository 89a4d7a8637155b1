"""JSON text in parts, each as it was written.

A number that is decoded and written again may be another. What is given must be strict JSON;
nothing here looks for mistakes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

__all__ = ["items", "members"]

# Numbers stay texts: to read one of many digits takes long, and is refused.
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str)
_SPACE: Final = re.compile(r"[ \t\r\n]*")


def items(array: str) -> Iterator[str]:
    """The texts of the items of ``array``.

    Raises:
        RecursionError: one is nested too deep.
    """
    at = _opened(array)
    while array[at] != "]":
        end = _DECODER.raw_decode(array, at)[1]
        yield array[at:end]
        at = _next(array, end)


def members(object: str) -> Iterator[tuple[str, str]]:
    """The names of the members of ``object``, each with the text of the whole member.

    Raises:
        RecursionError: one is nested too deep.
    """
    at = _opened(object)
    while object[at] != "}":
        name, end = _DECODER.raw_decode(object, at)
        colon = _past_space(object, end)
        end = _DECODER.raw_decode(object, _past_space(object, colon + 1))[1]
        yield name, object[at:end]
        at = _next(object, end)


def _opened(text: str) -> int:
    return _past_space(text, _past_space(text, 0) + 1)


def _next(text: str, end: int) -> int:
    at = _past_space(text, end)
    return _past_space(text, at + 1) if text[at] == "," else at


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
