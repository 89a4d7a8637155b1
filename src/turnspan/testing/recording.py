"""Recording into memory for a while, apart from what the application configured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar, Token
from typing import Any, Final, TypeVar

from opentelemetry.context import Context

from turnspan.capture.context import current_draft, current_session
from turnspan.capture.policy import Policy
from turnspan.errors import TurnspanError
from turnspan.exporters.registry import build_all
from turnspan.journal import RingLog
from turnspan.ports import Clock, Exporter, Ids
from turnspan.runtime import Runtime, configure, stand_in
from turnspan.settings import Settings
from turnspan.telemetry import check
from turnspan.telemetry.current import attach, deactivate
from turnspan.testing.captured import CapturedTurns
from turnspan.testing.repeatable import CountedIds, TickingClock

__all__ = ["Recording", "recording"]

T = TypeVar("T")

_RING_BYTES: Final = 1  # the ring keeps nothing where nobody is owed anything
_DEFAULTS: Final[Mapping[str, Any]] = {"spans": "own", "service_name": "tests"}


@contextmanager
def recording(*, deterministic: bool = False, **options: Any) -> Iterator[CapturedTurns]:
    """Record into memory inside the `with`, then go on as before.

    Nothing is written, sent or read from the environment, and no thread is started. What was
    configured before rests meanwhile and is in force again afterwards, with all it holds.
    ``options`` are those of `turnspan.configure`.

    `turnspan.configure` inside is obeyed in what it says of recording (`content`, `policy`,
    limits, …). Its exporters are checked and not used, its directory is passed over, and
    variables of the environment are not read: turns go on being captured here.

    ``deterministic`` counts ids and lets a clock tick, so that a turn is the same in every run.

    Raises:
        SettingsError: an option is unknown or its value unreadable.
    """
    made = Recording()
    with ExitStack() as undo:
        undo.enter_context(stand_in(made.runtime))
        undo.callback(_entered_nothing())
        if deterministic:
            made.repeat()
        configure(**options)
        yield made.turns


class Recording:
    """Makes the runtimes of one test; all of them write to the same lines."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._clock: TickingClock | None = None
        self._ids: CountedIds | None = None
        self._again: Callable[[], object] = configure
        self.turns: CapturedTurns = CapturedTurns(self._lines.kept, self)

    def runtime(
        self,
        given: Mapping[str, Any],
        exporters: Sequence[str | Exporter] | None,
        policy: Policy | None,
    ) -> Runtime:
        """What `configure` makes while this recording lasts."""
        settings = Settings.read({}, {**_DEFAULTS, **given, "directory": None})
        said, policy = policy, Policy.chosen(policy, settings, given)
        targets = settings.exporters if exporters is None else exporters
        names = [each.name for each in build_all(targets, settings=settings)]
        check(settings, otlp=any(name.startswith("otlp+") for name in names))
        self._again = lambda: configure(policy=said, **given)
        clock: Clock | None = self._clock
        ids: Ids | None = self._ids
        return Runtime(
            settings, (), policy=policy, environ={}, clock=clock, ids=ids, ring=self._lines
        )

    def deterministic(self) -> None:
        """From now on, with the options there are, count ids and let the clock tick.

        Raises:
            TurnspanError: something was recorded with other ids already.
        """
        if self._lines.kept:
            raise TurnspanError(
                "a turn began before deterministic() was called",
                fix="call it first thing in the test, or mark the test "
                "@pytest.mark.turnspan(deterministic=True)",
            )
        self.repeat()
        self._again()

    def repeat(self) -> None:
        """Make the runtimes to come with a ticking clock and counted ids."""
        self._clock, self._ids = TickingClock(), CountedIds()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on the ticking clock.

        Raises:
            TurnspanError: the clock is the machine's.
        """
        if self._clock is None:
            raise TurnspanError(
                "only a deterministic clock can be moved",
                fix="mark the test @pytest.mark.turnspan(deterministic=True)",
            )
        self._clock.advance(seconds)


class _Lines(RingLog):
    """A log that keeps every line, whoever is owed it."""

    def __init__(self) -> None:
        super().__init__(_RING_BYTES)
        self.kept: list[bytes] = []

    def append(self, line: bytes, /) -> None:
        """Keep ``line``."""
        super().append(line)
        self.kept.append(line)


def _entered_nothing() -> Callable[[], None]:
    """Leave whatever turn, session and span an earlier test left open; how to go back."""
    undo = [_set(current_draft, None), _set(current_session, None)]
    token = attach(Context())

    def leave() -> None:
        deactivate(token)
        for each in undo:
            each()

    return leave


def _set(variable: ContextVar[T], value: T) -> Callable[[], None]:
    token: Token[T] = variable.set(value)

    def reset() -> None:
        try:
            variable.reset(token)
        except ValueError:  # of another context, which has its own
            return

    return reset
