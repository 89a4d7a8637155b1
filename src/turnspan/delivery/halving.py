"""Find the turns at fault in a batch that was refused as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from turnspan.ports import Journalled, Outcome

__all__ = ["checked", "deliver", "is_server_error", "probe"]

Send = Callable[[Sequence[Journalled]], Outcome]


def deliver(turns: Sequence[Journalled], send: Send) -> Outcome:
    """Send ``turns``; where they are refused as one, halve until the culprits are alone.

    A fault of the destination on the way stops the search: the rest stays unsent. The
    outcome never has `refused_whole`.
    """
    search = _Search(turns, send, allowed=None)
    search.part(0, len(turns))
    return search.outcome()


def probe(turns: Sequence[Journalled], send: Send, *, patience: int = 0) -> Outcome:
    """Split ``turns``, which a destination answers with 5xx again and again.

    A turn that meets 5xx alone is refused as soon as another one is taken after it: then
    the destination works, and the turn is at fault. If nothing is taken in a way down to a
    single turn, and ``patience`` requests more, it is the destination's fault and the rest
    stays unsent.
    """
    search = _Search(turns, send, allowed=len(turns).bit_length() + 1 + patience)
    search.halves(0, len(turns))
    return search.outcome()


def checked(answer: object, count: int) -> Outcome:
    """``answer`` if it can be an outcome of ``count`` turns, otherwise all unsent.

    An exporter that names a turn which is not there has miscounted: none of its indexes
    can be trusted, and a turn too many is better than one too few.
    """
    if not isinstance(answer, Outcome):
        return Outcome.all_unsent(count, f"the exporter answered {type(answer).__name__!r}")
    if answer.refused_whole is not None:
        return answer
    try:
        named = {*answer.refused, *answer.unsent}
        wrong = [i for i in named if type(i) is not int or not 0 <= i < count]
        # Unsent wins where both are claimed; reasons become text.
        refused = {i: str(r) for i, r in answer.refused.items() if i not in answer.unsent}
    except Exception as exc:  # noqa: BLE001  # border: whatever an exporter put in there
        return Outcome.all_unsent(count, f"the exporter's outcome is unreadable: {exc!r}"[:300])
    if wrong:
        cause = f"the exporter named turn {wrong[0]!r} of a batch of {count}"
        return Outcome.all_unsent(count, cause)
    return Outcome(
        refused, None, frozenset(answer.unsent), answer.cause, answer.status, answer.retry_after_s
    )


def is_server_error(outcome: Outcome) -> bool:
    """Whether a 5xx left turns unsent, without asking to come back later."""
    status = outcome.status
    return status is not None and 500 <= status <= 599 and outcome.retry_after_s is None


class _Search:
    """Sends parts of a batch from left to right, keeping the order of its turns."""

    def __init__(self, turns: Sequence[Journalled], send: Send, *, allowed: int | None) -> None:
        self._turns = turns
        self._send = send
        self._allowed = allowed  # server errors in a row before we stop; None: not probing
        self._errors = 0
        self._refused: dict[int, str] = {}
        self._suspects: dict[int, str] = {}
        self._unsent: set[int] = set()
        self._fault: Outcome | None = None
        self._last_error: Outcome | None = None

    def part(self, start: int, end: int) -> None:
        count = end - start
        if self._fault is not None:
            self._unsent.update(range(start, end))
            return
        outcome = checked(self._send(self._turns[start:end]), count)
        if outcome.refused_whole is not None:
            self._refuse(start, end, outcome.refused_whole)
        elif self._allowed is not None and _kept_all(outcome, count):
            self._suspect(start, end, outcome)
        else:
            self._take(start, count, outcome)

    def halves(self, start: int, end: int) -> None:
        middle = (start + end + 1) // 2
        self.part(start, middle)
        if middle < end:
            self.part(middle, end)

    def outcome(self) -> Outcome:
        fault = self._fault or (self._last_error if self._suspects else None) or Outcome()
        unsent = frozenset(self._unsent | self._suspects.keys())
        return Outcome(self._refused, None, unsent, fault.cause, fault.status, fault.retry_after_s)

    def _refuse(self, start: int, end: int, reason: str) -> None:
        if end - start == 1:
            self._refused[start] = str(reason)
        else:
            self.halves(start, end)

    def _suspect(self, start: int, end: int, outcome: Outcome) -> None:
        self._errors += 1
        self._last_error = outcome
        if self._allowed is not None and self._errors > self._allowed:
            self._fault = outcome
            self._unsent.update(range(start, end))
        elif end - start == 1:
            self._suspects[start] = outcome.cause or f"status {outcome.status}"
        else:
            self.halves(start, end)

    def _take(self, start: int, count: int, outcome: Outcome) -> None:
        self._refused |= {start + index: reason for index, reason in outcome.refused.items()}
        self._unsent |= {start + index for index in outcome.unsent}
        if outcome.unsent:
            self._fault = outcome
        if len(outcome.unsent) < count:
            self._errors = 0
            self._refused |= self._suspects
            self._suspects.clear()


def _kept_all(outcome: Outcome, count: int) -> bool:
    return len(outcome.unsent) == count and is_server_error(outcome)
