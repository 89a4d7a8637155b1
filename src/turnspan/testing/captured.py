"""The turns of one test: a sequence that knows what tests ask of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol, overload

from turnspan.ports import JournalledTurn
from turnspan.schema import Turn, decode_record
from turnspan.schema.wire import FEEDBACK, OPEN, STEP, TURN, turn_of

__all__ = ["CapturedTurns", "Controls"]

_PAUSE_S: Final = 0.002
_MAX_CHARS: Final = 40
_MAX_SHOWN: Final = 20


class Controls(Protocol):
    """What can be done to the recording behind captured turns."""

    def deterministic(self) -> None:
        """Count ids and let the clock tick."""
        ...

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on that clock."""
        ...


class CapturedTurns(Sequence[Turn]):
    """The turns that ended so far, in the order they ended. It grows while code runs.

    ``lines`` are the records that capture wrote, decoded when somebody asks. Thread-safe.
    """

    def __init__(self, lines: list[bytes], controls: Controls) -> None:
        self._lines = lines
        self._controls = controls
        self._decoded: dict[bytes, JournalledTurn] = {}

    def __len__(self) -> int:
        return sum(line.startswith(TURN) for line in self._lines)

    @overload
    def __getitem__(self, index: int) -> Turn: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Turn]: ...
    def __getitem__(self, index: int | slice) -> Turn | Sequence[Turn]:
        return self.all[index]

    def __iter__(self) -> Iterator[Turn]:
        return iter(self.all)

    def __repr__(self) -> str:
        return f"<{_turns(len(self))}{self._also_open()}>"

    @property
    def all(self) -> list[Turn]:
        """Those that ended by now; later ones don't join."""
        return [self._turn(line) for line in self._of_kind(TURN)]

    @property
    def open(self) -> list[Turn]:
        """Those that began and have not ended, with what is known of them.

        Their status is `open`, their end is their start, and steps that ended are there once
        the turn has been open for a second.
        """
        ended = {turn.id for turn in self}
        began = (decode_record(line) for line in self._of_kind(OPEN))
        return [self._still_open(record) for record in began if record["id"] not in ended]

    @property
    def feedback(self) -> list[dict[str, Any]]:
        """The `feedback` records that were written, as the journal would hold them."""
        return [decode_record(line) for line in self._of_kind(FEEDBACK)]

    def only(self) -> Turn:
        """The turn, where there is exactly one.

        Raises:
            AssertionError: there is none, or more, or one is still open; it says which.
        """
        __tracebackhide__ = True
        found = self.all
        if len(found) != 1 or self.open:
            raise AssertionError(self._listed("expected exactly one turn"))
        return found[0]

    def last(self) -> Turn:
        """The turn that ended last.

        Raises:
            AssertionError: none has ended.
        """
        __tracebackhide__ = True
        if not (found := self.all):
            raise AssertionError(self._listed("expected a turn"))
        return found[-1]

    def of(self, agent: str) -> list[Turn]:
        """The turns of the agent called ``agent``."""
        return [turn for turn in self if turn.agent.name == agent]

    def wait(self, count: int = 1, *, timeout_s: float = 5.0) -> list[Turn]:
        """Wait for threads until ``count`` turns have ended and none is open; all of them.

        Raises:
            AssertionError: ``timeout_s`` have passed; it says what there was.
        """
        __tracebackhide__ = True
        for pause_s in self._unsettled(count, timeout_s):
            time.sleep(pause_s)
        return self.all

    async def awaited(self, count: int = 1, *, timeout_s: float = 5.0) -> list[Turn]:
        """`wait` for tasks of the running event loop.

        Raises:
            AssertionError: ``timeout_s`` have passed; it says what there was.
        """
        __tracebackhide__ = True
        for pause_s in self._unsettled(count, timeout_s):
            await asyncio.sleep(pause_s)
        return self.all

    def clear(self) -> None:
        """Forget what was recorded so far. Ids and clock go on."""
        self._lines.clear()
        self._decoded.clear()

    def deterministic(self) -> None:
        """Count ids and let a clock tick from here on, so that every run gives the same turns.

        Raises:
            TurnspanError: something was recorded with other ids already.
        """
        self._controls.deterministic()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on the deterministic clock.

        Raises:
            TurnspanError: the clock is the machine's.
        """
        self._controls.advance(seconds)

    def _of_kind(self, kind: bytes) -> list[bytes]:
        return [line for line in self._lines.copy() if line.startswith(kind)]

    def _turn(self, line: bytes) -> Turn:
        return self._decoded.setdefault(line, JournalledTurn(line)).turn

    def _still_open(self, record: dict[str, Any]) -> Turn:
        journalled = (decode_record(line) for line in self._of_kind(STEP))
        steps = [each["step"] for each in journalled if each["turn_id"] == record["id"]]
        known = {"status": "open", "ended_at": record["started_at"], "steps": steps}
        return turn_of({**record, **known})

    def _unsettled(self, count: int, timeout_s: float) -> Iterator[float]:
        """A pause to make, again and again until ``count`` turns have ended and none is open."""
        __tracebackhide__ = True
        until_s = time.monotonic() + timeout_s
        while len(self) < count or self.open:
            if time.monotonic() >= until_s:
                waited = f"waited {timeout_s:g} s for {_turns(count)} to end"
                raise AssertionError(self._listed(waited))
            yield _PAUSE_S

    def _also_open(self) -> str:
        return f", {len(still)} still open" if (still := self.open) else ""

    def _listed(self, expected: str) -> str:
        shown = [*self.all, *self.open]
        there = "there is" if len(self) == 1 else "there are"
        lines = [f"{expected}; {there} {_turns(len(self))}{self._also_open()}"]
        lines += [f"  {_line(turn)}" for turn in shown[:_MAX_SHOWN]]
        if len(shown) > _MAX_SHOWN:
            lines.append(f"  … and {len(shown) - _MAX_SHOWN} more")
        return "\n".join(lines)


def _turns(count: int) -> str:
    return "no turns" if not count else "1 turn" if count == 1 else f"{count} turns"


def _line(turn: Turn) -> str:
    """``turn`` as one line: who, how it stands, what went in and came out."""
    said = [_short(each.content) for each in (turn.input, turn.output) if each is not None]
    return " · ".join([turn.agent.name, turn.status, turn.id, " → ".join(said)]).rstrip(" ·")


def _short(text: str) -> str:
    return repr(text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…")
