"""What other code put on the span of a turn or step, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from turnspan.capture.drafts import Draft
from turnspan.capture.texts import cut_text

if TYPE_CHECKING:
    from turnspan.capture.recorder import Recorder

__all__ = ["bounded_notes"]

PIECE_BYTES: Final = 32  # what a number, a name or an id takes, generously


def bounded_notes(recorder: Recorder, draft: Draft, notes: Mapping[str, Any]) -> dict[str, Any]:
    """``notes`` as far as they fit into a value and into their turn; the rest is named as cut."""
    turn = draft.turn
    left = max(0, min(recorder.max_bytes, recorder.max_turn_bytes - turn.size))
    room = _Room(left, words=recorder.limits.words)
    kept: dict[str, Any] = room.take(notes)
    turn.size += left - room.left
    if room.is_short:
        turn.cut(draft.path("span"), f"over {left} bytes", _size(notes))
        if turn.ended:
            turn.fields["truncated"] = turn.cuts
    return kept


class _Room:
    """So many bytes, which pieces take one after the other."""

    def __init__(self, left: int, *, words: bool) -> None:
        self.left: int = left
        self.is_short: bool = False
        self._words = words

    def take(self, value: Any) -> Any:
        """``value`` as far as it fits: of a text its beginning; None for nothing of it."""
        size = _size(value)
        if size <= self.left:
            self.left -= size
            return value
        self.is_short = True
        if isinstance(value, str):
            text = cut_text(value, max(0, self.left - PIECE_BYTES), words=self._words)[0]
            self.left -= min(self.left, _size(text))
            return text or None
        if isinstance(value, Mapping):
            smallest_first = sorted(value, key=lambda key: _size(value[key]))
            kept = {key: self.take(value[key]) for key in smallest_first}
            return {key: kept[key] for key in value if kept[key] is not None}
        if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            return [each for each in value if self._fits(each)]  # events or links, each whole
        return None

    def _fits(self, value: Any) -> bool:
        size = _size(value)
        self.left -= size if (fits := size <= self.left) else 0
        return fits


def _size(value: Any) -> int:
    """About how many bytes it is as JSON."""
    if isinstance(value, str):
        return PIECE_BYTES + (len(value) if value.isascii() else 4 * len(value))
    if isinstance(value, Mapping):
        return sum(len(key) + _size(said) for key, said in value.items())
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return PIECE_BYTES
