"""What every exporter promises, as rules that can be run, with pytest or without.

    @pytest.mark.parametrize("rule", exporter_rules(), ids=lambda rule: rule.__name__)
    def test_my_exporter_keeps(rule, server):
        rule(ExporterMaker(lambda: MyExporter(server.url), arrived=server.turn_ids))

A rule takes a callable that makes an exporter for a destination that is up and empty. It raises
`AssertionError`, saying what it saw. `keeps_its_timeout` is worth running a second time with a
destination that never answers: it asks how long the exporter took, not what became of the turns.
"""

import time
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any, Final

from turnspan.ports import (
    Exporter,
    Journalled,
    JournalledFeedback,
    JournalledTurn,
    Outcome,
    takes_feedback,
)
from turnspan.testing.turns import raw_feedback, raw_turn

__all__ = ["ExporterMaker", "MakeExporter", "Rule", "exporter_rules"]

MakeExporter = Callable[[], Exporter]
Rule = Callable[[MakeExporter], None]

_TIMEOUT_S: Final = 5.0
_SHORT_S: Final = 0.2
_GRACE_S: Final = 1.0  # a busy machine is not a broken exporter
_TORN: Final = b'{"record":"turn","id":"turn_torn0000000","session_id":\n'
_NO_TURN: Final = b'{"record":"turn","id":7}\n'
_TORN_FEEDBACK: Final = b'{"record":"feedback","id":"feedback_torn0000","turn_id":\n'
_NO_FEEDBACK: Final = b'{"record":"feedback","id":7}\n'
_BINARY: Final = b"\xff\xfe\x00 not even text\n"


class ExporterMaker:
    """Makes exporters for one destination, and can tell what is there.

    ``arrived`` answers with the ids of the turns at the destination, in the order in which
    they came, an id twice where it is there twice, and ``feedback_arrived`` the same of
    feedback, for an exporter that takes it. ``secrets`` are texts that must never be
    shown. Rules take a plain callable as well, and then check less.
    """

    def __init__(
        self,
        make: MakeExporter,
        *,
        arrived: Callable[[], Sequence[str]] | None = None,
        feedback_arrived: Callable[[], Sequence[str]] | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._make = make
        self.arrived: Callable[[], Sequence[str]] | None = arrived
        self.feedback_arrived: Callable[[], Sequence[str]] | None = feedback_arrived
        self.secrets: Sequence[str] = secrets

    def __call__(self) -> Exporter:
        """A new exporter, as after a restart of the process."""
        return self._make()


def exporter_rules() -> list[Rule]:
    """Every rule, each to be called with a fresh destination."""
    return [
        has_what_an_exporter_has,
        accounts_for_every_turn,
        keeps_the_order,
        keeps_a_turn_that_comes_twice_once,
        survives_an_undecodable_line,
        keeps_feedback_like_turns,
        has_a_stable_name_without_credentials,
        exports_from_another_thread,
        keeps_its_timeout,
        sends_nothing_after_close,
        may_be_closed_twice,
    ]


def has_what_an_exporter_has(make: MakeExporter) -> None:
    """It has a name, `export` and `close`."""
    made = make()
    _require(isinstance(made, Exporter), f"{type(made).__name__} is no turnspan.ports.Exporter")


def accounts_for_every_turn(make: MakeExporter) -> None:
    """Each turn of a batch of any size is delivered, and outcomes name no others."""
    exporter = make()
    sent: list[str] = []
    for size in (0, 1, 7):
        batch = _batch(size, first=len(sent) + 1)
        outcome = _exported(exporter, batch)
        _require_delivered(outcome, size)
        sent += _ids(batch)
    exporter.close(timeout_s=_TIMEOUT_S)
    arrived = _arrived(make)
    if arrived is not None:
        lost = [turn_id for turn_id in sent if turn_id not in arrived]
        _require(not lost, f"said to be delivered, but not there: {lost}")


def keeps_the_order(make: MakeExporter) -> None:
    """Turns arrive in the order of the batch."""
    exporter = make()
    batch = _batch(7)
    _exported(exporter, batch)
    exporter.close(timeout_s=_TIMEOUT_S)
    arrived = _arrived(make)
    if arrived is not None:
        _require(arrived == _ids(batch), f"sent {_ids(batch)}, there {arrived}")


def keeps_a_turn_that_comes_twice_once(make: MakeExporter) -> None:
    """A turn sent again, by the same exporter or after a restart, is there once."""
    batch = _batch(3)
    for exporter in (make(), make()):
        for _ in range(2):
            _require_delivered(_exported(exporter, batch), len(batch))
        exporter.close(timeout_s=_TIMEOUT_S)
    arrived = _arrived(make)
    if arrived is not None:
        _require(
            sorted(arrived) == sorted(_ids(batch)),
            f"sent each of {_ids(batch)} four times, there {arrived}",
        )


def survives_an_undecodable_line(make: MakeExporter) -> None:
    """A line that is no turn is no exception, is not offered for ever, and harms no other."""
    exporter = make()
    for bad in (_TORN, _NO_TURN, _BINARY):
        batch = (raw_turn(1), JournalledTurn(bad), raw_turn(2))
        outcome = _exported(exporter, batch)
        _require(1 not in outcome.unsent, f"{bad!r} would be sent again and again: {outcome}")
        harmed = outcome.refused.keys() | outcome.unsent
        _require(not harmed & {0, 2}, f"good turns beside {bad!r} were not delivered: {outcome}")
    exporter.close(timeout_s=_TIMEOUT_S)


def keeps_feedback_like_turns(make: MakeExporter) -> None:
    """If it takes feedback: delivered among turns and alone, once, and never a reason to stop."""
    if not takes_feedback(make()):
        return
    turn, other, feedback = raw_turn(1), raw_turn(2), raw_feedback(1)
    for exporter in (make(), make()):
        for batch in ((turn, feedback, other), (feedback,)):
            _require_delivered(_exported(exporter, batch), len(batch))
        for bad in (_TORN_FEEDBACK, _NO_FEEDBACK):
            outcome = _exported(exporter, (turn, JournalledFeedback(bad), feedback))
            _require(1 not in outcome.unsent, f"{bad!r} would be sent again and again: {outcome}")
            harmed = outcome.refused.keys() | outcome.unsent
            _require(not harmed & {0, 2}, f"good ones beside {bad!r} did not arrive: {outcome}")
        exporter.close(timeout_s=_TIMEOUT_S)
        _require(_exported(exporter, (feedback,)).unsent == {0}, "closed, and yet it took feedback")
    for what, ids in (("arrived", _ids((turn, other))), ("feedback_arrived", [_id(feedback)])):
        there = _arrived(make, what)
        if there is not None:  # beside what nobody could read, which it may have passed on
            seen = [each for each in there if each in ids]
            _require(seen == ids, f"sent {ids} again and again, there {seen}")


def has_a_stable_name_without_credentials(make: MakeExporter) -> None:
    """The name, by which the journal remembers what was sent, is the same after a restart."""
    first, second = make(), make()
    name: object = first.name
    _require(isinstance(name, str) and name != "", f"the name is {name!r}, no text")
    _require(first.name == second.name, f"one is {first.name!r}, the next {second.name!r}")
    shown = f"{first.name} {first!r}"
    told = [secret for secret in getattr(make, "secrets", ()) if secret in shown]
    _require(not told, f"name or repr tell a secret of {max(map(len, told), default=0)} characters")
    user_info = first.name.partition("//")[2].partition("/")[0].rpartition("@")[0]
    _require(not user_info, "the name has credentials before the host")


def exports_from_another_thread(make: MakeExporter) -> None:
    """It may be made in one thread and used in another, as delivery does."""
    exporter = make()
    outcomes: list[Outcome] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            outcomes.append(_exported(exporter, _batch(3)))
            exporter.close(timeout_s=_TIMEOUT_S)
        except BaseException as exc:  # noqa: BLE001  # told to the thread that asked
            raised.append(exc)

    worker = Thread(target=work, daemon=True)
    worker.start()
    worker.join(_TIMEOUT_S + _GRACE_S)
    _require(not raised, f"in a thread it raised {raised[:1]!r}")
    _require(bool(outcomes), "in a thread it did not come back")
    _require_delivered(outcomes[0], 3)


def keeps_its_timeout(make: MakeExporter) -> None:
    """`export` and `close` come back in the time they were given, delivered or not."""
    exporter = make()
    started_s = time.monotonic()
    _exported(exporter, _batch(7), timeout_s=_SHORT_S)
    exported_s = time.monotonic() - started_s
    _require(exported_s <= _SHORT_S + _GRACE_S, f"export took {exported_s:.1f} s, had {_SHORT_S} s")
    started_s = time.monotonic()
    exporter.close(timeout_s=_SHORT_S)
    closed_s = time.monotonic() - started_s
    _require(closed_s <= _SHORT_S + _GRACE_S, f"close took {closed_s:.1f} s, had {_SHORT_S} s")


def sends_nothing_after_close(make: MakeExporter) -> None:
    """After `close` every turn is unsent."""
    exporter = make()
    exporter.close(timeout_s=_TIMEOUT_S)
    outcome = _exported(exporter, _batch(3))
    _require(
        outcome.unsent == {0, 1, 2} and not outcome.refused and outcome.refused_whole is None,
        f"closed, and yet it answered {outcome}",
    )
    arrived = _arrived(make)
    _require(not arrived, f"closed, and yet there are {arrived}")


def may_be_closed_twice(make: MakeExporter) -> None:
    """Closing twice is harmless, before a batch and after one."""
    used, unused = make(), make()
    _exported(used, _batch(1))
    for exporter in (used, used, unused, unused):
        try:
            exporter.close(timeout_s=_TIMEOUT_S)
        except Exception as exc:
            raise AssertionError(f"close raised {type(exc).__name__}: {exc}") from exc


def _batch(size: int, *, first: int = 1) -> tuple[JournalledTurn, ...]:
    return tuple(raw_turn(index) for index in range(first, first + size))


def _ids(batch: Sequence[JournalledTurn]) -> list[str]:
    return [turn.turn.id for turn in batch]


def _id(feedback: JournalledFeedback) -> str:
    return feedback.feedback.id


def _arrived(make: MakeExporter, what: str = "arrived") -> list[str] | None:
    ask: Callable[[], Sequence[str]] | None = getattr(make, what, None)
    return None if ask is None else list(ask())


def _exported(
    exporter: Exporter, batch: Sequence[Journalled], *, timeout_s: float = _TIMEOUT_S
) -> Outcome:
    """The outcome of ``batch``, once it is known to make sense."""
    given: Any = batch  # feedback only for those that take it
    try:
        outcome = exporter.export(given, timeout_s=timeout_s)
    except Exception as exc:
        raise AssertionError(f"export raised {type(exc).__name__}: {exc}") from exc
    _require(isinstance(outcome, Outcome), f"export answered with a {type(outcome).__name__}")
    named = [*outcome.refused, *outcome.unsent]
    strange = [index for index in named if index not in range(len(batch))]
    _require(not strange, f"a batch of {len(batch)} has no turns {strange}: {outcome}")
    _require(len(named) == len(set(named)), f"a turn is both refused and unsent: {outcome}")
    _require(not (outcome.unsent and not outcome.cause), f"unsent without a cause: {outcome}")
    _require(not (outcome.refused_whole and named), f"refused both as one and singly: {outcome}")
    return outcome


def _require_delivered(outcome: Outcome, size: int) -> None:
    whole = not outcome.refused and not outcome.unsent and outcome.refused_whole is None
    _require(whole, f"the destination is up, yet of {size} turns: {outcome}")


def _require(holds: bool, said: str) -> None:  # noqa: FBT001  # it stands where `assert` would
    if not holds:  # an `assert` here would be stripped by `python -O`, and silent without pytest
        raise AssertionError(said)
