"""Offering turns to an exporter, whatever it may do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

from turnspan.delivery.batch import Batch, Courtesy
from turnspan.delivery.halving import checked, deliver, is_server_error, probe
from turnspan.delivery.tally import Tally
from turnspan.notices import say
from turnspan.ports import Exporter, FeedbackExporter, Journalled, Outcome

__all__ = ["Attempts", "shown"]

TRIES_BEFORE_PROBE: Final = 4
OWN_FAULT: Final = 500  # gateways answer 502 to 504 for a server that is away
SHOWN_CHARS: Final = 500


class Attempts:
    """Offers batches and remembers which turn stands in the way.

    ``time_for_one`` says how many seconds the next export may take.
    """

    def __init__(
        self,
        exporter: Exporter,
        courtesy: Courtesy,
        tally: Tally,
        time_for_one: Callable[[], float],
    ) -> None:
        # Its backlog holds feedback only where it takes that.
        self._exporter = cast("FeedbackExporter", exporter)
        self._courtesy = courtesy
        self._tally = tally
        self._time_for_one = time_for_one
        self._head = b""  # the turn at which a 5xx holds us up
        self._errors = 0  # how often in a row
        self._probes = 0

    def offer(self, turns: Sequence[Journalled], *, last: bool = False) -> Outcome:
        """Export ``turns``; where they meet 5xx again and again, look for the one at fault.

        The ``last`` offer of a process looks for it at the first 500: programs that end soon
        would never see it again and again, and each would leave its own turns behind it.
        """
        if not turns:
            return Outcome()
        self._courtesy.begin()
        stuck = self._errors >= TRIES_BEFORE_PROBE and turns[0].raw == self._head
        probing = stuck and len(turns) > 1
        if probing:
            outcome = probe(turns, self._send, patience=2 * self._probes)
        else:
            outcome = deliver(turns, self._send)
            if last and len(turns) > 1 and _is_stuck(outcome, len(turns)):
                probing, outcome = True, probe(turns, self._send)
        self._remember(turns, outcome, probing=probing)
        return outcome

    def _remember(self, turns: Sequence[Journalled], outcome: Outcome, *, probing: bool) -> None:
        if not outcome.unsent or not is_server_error(outcome):
            self._head, self._errors, self._probes = b"", 0, 0
            return
        head = turns[min(outcome.unsent)].raw
        self._errors = self._errors + 1 if probing or head == self._head else 1
        self._head = head
        self._probes += probing

    def _send(self, turns: Sequence[Journalled]) -> Outcome:
        timeout_s = self._time_for_one()
        if timeout_s <= 0:
            return Outcome.all_unsent(len(turns), "no time was left at the end")
        self._tally.retries += self._tally.failing
        try:
            answer = self._exporter.export(Batch(turns, self._courtesy), timeout_s=timeout_s)
        except BaseException as exc:  # noqa: BLE001  # border: it would end our thread unseen
            name = self._exporter.name
            say(f"export {name}", "exporter %s raised", name, error=exc)
            return Outcome.all_unsent(len(turns), f"the exporter raised {shown(exc)}")
        return checked(answer, len(turns))


def _is_stuck(outcome: Outcome, count: int) -> bool:
    """Was a whole batch answered 500, by a server that does not ask for patience?"""
    return outcome.status == OWN_FAULT and is_server_error(outcome) and len(outcome.unsent) == count


def shown(exc: BaseException) -> str:
    """``exc`` by type and message, for one that can say its message."""
    try:
        return f"{type(exc).__name__}: {exc}"[:SHOWN_CHARS]
    except Exception:  # noqa: BLE001  # border: foreign `__str__`
        return type(exc).__name__
