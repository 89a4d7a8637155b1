"""Fields → lines of the journal."""

from __future__ import annotations

from typing import Any, Final

import orjson

from turnspan.capture.values import FAST, Limits, cut_text, to_json

__all__ = [
    "LINE",
    "MAX_OPEN_INPUT_BYTES",
    "SHORT_CHARS",
    "Nowhere",
    "careful_line",
    "line_of",
    "shortened",
]

MAX_OPEN_INPUT_BYTES: Final = 64 * 1024
SHORT_CHARS: Final = MAX_OPEN_INPUT_BYTES // 4  # fits whatever the characters are
LINE: Final = FAST | orjson.OPT_APPEND_NEWLINE
_WHOLE: Final = Limits(max_bytes=2**30, max_nodes=2**30, max_containers=2**30)


def line_of(fields: dict[str, Any]) -> bytes:
    """One record as it is written, newline included."""
    try:
        return orjson.dumps(fields, None, LINE)
    except TypeError:
        return careful_line(fields)


def careful_line(fields: dict[str, Any]) -> bytes:
    """The same for a lone surrogate in a name or an id, which the encoder refuses."""
    return to_json(fields, _WHOLE).text.encode() + b"\n"


def shortened(fields: dict[str, Any], *, words: bool = False) -> dict[str, Any]:
    """An `open` record's ``fields`` with no more input than such a record holds.

    With ``words``, secrets are still to be found in it: a text is cut at a white space, and
    structured data is left whole.
    """
    content = fields["input"]
    if words and "mime_type" in content:
        return fields
    kept, _ = cut_text(content["content"], MAX_OPEN_INPUT_BYTES, words=words)
    return {**fields, "input": {**content, "content": kept}}


class Nowhere:
    """The log of a recorder that was detached."""

    def append(self, line: bytes, /) -> None:
        """Forget ``line``."""

    def next_number(self, session_id: str, /) -> int:
        """No turn of ``session_id`` will be kept, so none is counted."""
        return 0
