"""What a stream has yielded so far, within a budget, and what it comes to.

Texts are joined, bytes too; the chunks of the common clients are folded into the answer they
make (`deltas`); everything else is written as JSON the moment it is yielded, for the consumer
may change it. Chunks of several kinds make a list, in which texts that followed one another
are one.
"""

from __future__ import annotations

from io import StringIO
from typing import Any, Final

import orjson

from turnspan.capture.deltas import Fold, Pieces, fold_for
from turnspan.capture.parts import Fields, as_fields
from turnspan.capture.texts import cut_text, whole_words
from turnspan.capture.values import Limits, to_json

__all__ = ["Chunks"]

_TEXT: Final = "text"
_BYTES: Final = "bytes"
_FOLD: Final = "fold"


class Chunks:
    """Takes the chunks of one stream as they come; of a value budget's worth it keeps all."""

    __slots__ = (
        "_bytes",
        "_fold",
        "_kind",
        "_limits",
        "_lost_bytes",
        "_parts",
        "_pieces",
        "_room",
        "_text",
        "_why",
        "count",
    )

    def __init__(self, limits: Limits) -> None:
        self.count: int = 0
        self._limits = limits
        self._room = limits.max_bytes
        self._lost_bytes = 0
        self._why: str | None = None
        self._kind = ""
        self._text = StringIO(newline="")
        self._bytes = bytearray()
        self._pieces: Pieces | None = None
        self._fold: Fold | None = None
        self._parts: list[Any] = []

    def add(self, chunk: object) -> None:
        """Keep ``chunk`` as it is now."""
        self.count += 1
        kind = type(chunk)
        # The usual chunk of the usual stream, written out.
        if (
            type(chunk) is str
            and self._kind == _TEXT
            and chunk.isascii()
            and (room := self._room - len(chunk)) >= 0
        ):
            self._room = room
            self._text.write(chunk)
        elif issubclass(kind, str):
            self._add_text(chunk if kind is str else str.__str__(chunk))  # type: ignore[arg-type]
        elif kind is bytes or kind is bytearray:
            self._add_bytes(bytes(chunk))  # type: ignore[call-overload]  # it is one of the two
        else:
            self._add_other(chunk)

    def joined(self, *, whole: bool) -> Any:
        """What all chunks come to; None of none.

        That is a text, bytes or a list. Of a client's chunks it is what they say, or, with
        ``whole``, the answer that the client would have given at once.
        """
        run = self._run(whole=whole)
        if not self._parts:
            return run
        return [*map(_read, self._parts), *([] if run is None else [run])]

    @property
    def cut(self) -> tuple[str, int] | None:
        """Why not all of it was kept, and how many bytes it would have been."""
        lost, room = self._lost_bytes, self._room
        if self._pieces is not None:
            lost, room = lost + self._pieces.lost_chars, self._pieces.room
        if not lost:
            return None
        why = self._why or f"over {self._limits.max_bytes} bytes"
        return why, self._limits.max_bytes - max(room, 0) + lost

    def _add_text(self, text: str) -> None:
        if self._kind != _TEXT:
            self._begin(_TEXT)
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        if size > self._room:
            text = cut_text(text, max(self._room, 0))[0]
            self._lost_bytes += size - len(text.encode("utf-8", "surrogatepass"))
        self._room -= size
        self._text.write(text)

    def _add_bytes(self, data: bytes) -> None:
        if self._kind != _BYTES:
            self._begin(_BYTES)
        kept = data[: max(self._room, 0)]
        self._lost_bytes += len(data) - len(kept)
        self._room -= len(data)
        self._bytes += kept

    def _add_other(self, chunk: object) -> None:
        fields = as_fields(chunk)
        if fields is not None and self._folds(fields):
            return
        if self._kind:
            self._begin("")
        written = to_json(chunk, self._limits)
        size = len(written.text)
        if len(self._parts) >= self._limits.max_nodes:
            self._why = f"more than {self._limits.max_nodes} chunks"
            self._lost_bytes += size
        elif size > self._room:
            self._lost_bytes += size
        else:
            self._parts.append(_Json(written.text))
        self._room -= size

    def _folds(self, fields: Fields) -> bool:
        """Whether ``fields`` were a chunk of a client, and are part of its answer now."""
        if self._kind == _FOLD and self._fold is not None and self._fold.takes(fields):
            self._fold.add(fields)
            return True
        if (found := fold_for(fields, self._room, words=self._limits.words)) is None:
            return False
        self._begin(_FOLD)
        self._fold, self._pieces = found
        self._fold.add(fields)
        return True

    def _begin(self, kind: str) -> None:
        """What comes now is of another kind than what came before."""
        if (run := self._run(whole=False)) is not None:
            self._parts.append(run)
        if self._pieces is not None:
            self._room = self._pieces.room
            self._lost_bytes += self._pieces.lost_chars
        self._kind, self._fold, self._pieces = kind, None, None
        self._text, self._bytes = StringIO(newline=""), bytearray()

    def _run(self, *, whole: bool) -> Any:
        """The chunks of the last kind, joined."""
        if self._kind == _TEXT:
            return self._ended(self._text.getvalue())
        if self._kind == _BYTES:
            return self._ended(_decoded(bytes(self._bytes)))
        if self._fold is not None:
            return self._fold.answer() if whole else self._fold.text()
        return None

    def _ended(self, run: str | bytes) -> str | bytes:
        """A run that is not whole, at the end of a word where half a secret might stand."""
        if not (self._lost_bytes and self._limits.words):
            return run
        return whole_words(run) if isinstance(run, str) else b""


class _Json(str):
    """A chunk as JSON, told apart from a chunk that is a text."""

    __slots__ = ()


def _read(part: Any) -> Any:
    return orjson.loads(str(part)) if type(part) is _Json else part


def _decoded(data: bytes) -> str | bytes:
    """Bytes that are a text, as server-sent events are, as such; a last half character is cut."""
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        return data[: exc.start].decode() if exc.start >= max(len(data) - 3, 1) else data
