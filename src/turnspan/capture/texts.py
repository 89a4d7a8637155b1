"""Texts as they can be kept: within a budget, and without what no encoding carries."""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_SHORT", "cut_text", "encodable", "plain_text", "short", "utf8_bytes", "whole_words"]

MAX_BACK: Final = 4096  # characters that a cut goes back for the end of a word
MAX_SHORT: Final = 4096  # characters of a name, a tag, an id
MAX_COUNTED: Final = 8  # so many times too long, and a text's size in bytes is not counted
_OF_NUMBERS: Final = "0123456789 -"


def cut_text(text: str, max_bytes: int, *, words: bool = False) -> tuple[str, int | None]:
    """``text`` within ``max_bytes`` of UTF-8, and its full size where it had to be cut.

    The size is 0 where counting it would take too long. With ``words`` what is kept ends at a
    white space: half a secret would not be known for one.
    """
    if len(text) * 4 <= max_bytes or (len(text) <= max_bytes and text.isascii()):
        return text, None
    if len(text) <= max_bytes and utf8_bytes(text) <= max_bytes:
        return text, None
    kept = text[:max_bytes] if text.isascii() else _fitting(text, max_bytes)
    return whole_words(kept) if words else kept, _size(text, max_bytes)


def encodable(text: str) -> str:
    """``text`` without lone surrogates, which no encoding carries.

    Raises:
        TypeError: it is no string.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text is a string, not {type(text).__name__}")
    try:
        str.encode(text)
    except UnicodeEncodeError:
        return str.encode(text, "utf-8", "replace").decode()
    return text if type(text) is str else str.__add__(text, "")


def plain_text(value: object) -> str | None:
    """``value`` as a text of the builtin class; None where it is no text."""
    kind = type(value)  # `isinstance` would ask the value for its `__class__`
    return str.__str__(value) if issubclass(kind, str) else None


def short(text: str) -> str:
    """``text``, a name or the like: what is longer than any ends at a white space."""
    return text if len(text) <= MAX_SHORT else f"{whole_words(text[:MAX_SHORT])}…"


def utf8_bytes(text: str) -> int:
    """How many bytes ``text`` is in UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


def _fitting(text: str, max_bytes: int) -> str:
    """As much of ``text`` as fits; what is left out is not looked at."""
    end, left = 0, max_bytes
    while left >= 4:
        step = left // 4  # fits whatever its characters are
        left -= utf8_bytes(text[end : end + step])
        end += step
    while end < len(text) and (size := utf8_bytes(text[end])) <= left:
        left -= size
        end += 1
    return text[:end]


def whole_words(kept: str) -> str:
    """``kept`` to its last white space, or without the end in which there is none."""
    end = kept[-MAX_BACK:]
    if not end[-1:].isspace():
        words = end.rsplit(None, 1)
        kept = kept[: len(kept) - len(end)] + (words[0] if len(words) == 2 else "")
    return kept.rstrip(_OF_NUMBERS)  # the first groups of a card's number are half of it


def _size(text: str, max_bytes: int) -> int:
    if text.isascii():
        return len(text)
    return utf8_bytes(text) if len(text) <= MAX_COUNTED * max_bytes else 0
