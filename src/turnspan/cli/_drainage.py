"""Delivering in a process of its own what others recorded."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from turnspan.cli._output import note, shown_size, terminal
from turnspan.clock import SystemClock
from turnspan.delivery.dead import DeadLetters
from turnspan.delivery.delivery import Delivery
from turnspan.journal import Directory, Journal
from turnspan.ports import takes_feedback

if TYPE_CHECKING:
    from turnspan.delivery.health import ExporterHealth
    from turnspan.ports import Exporter
    from turnspan.settings import Settings

__all__ = ["Drainage"]

FIRST_LOOK_S: Final = 0.02
LONGEST_LOOK_S: Final = 0.5
ADOPT_EVERY_S: Final = 2.0


class Drainage:
    """A journal that is only delivered from, and the delivery of it. Used from one thread."""

    def __init__(
        self,
        directory: Directory,
        exporters: Sequence[Exporter],
        *,
        settings: Settings,
        all_hosts: bool = False,
        from_start: bool = False,
    ) -> None:
        clock = SystemClock()
        self._reach = {"all_hosts": all_hosts, "from_start": from_start}
        self._stop = threading.Event()
        self._journal = Journal.attach(directory, settings=settings, clock=clock)
        backlog = self._journal.backlog
        routes = [(each, backlog(each.name, feedback=takes_feedback(each))) for each in exporters]
        self._backlogs = [each for _, each in routes]
        self._delivery = Delivery(
            routes, settings=settings, clock=clock, dead=DeadLetters(directory.path)
        )

    def run(self, *, follow: bool, patience_s: float, show: bool) -> None:
        """Deliver until nothing is left or a signal comes; with ``follow`` only a signal ends it.

        Gives up when nothing could be delivered for ``patience_s``.
        """
        with self._stopped_by_signals():
            self._adopt()
            self._delivery.start()
            if follow:
                self._follow(show=show)
            elif self._waiting_bytes():
                self._drain(patience_s, show=show)

    def close(self, *, timeout_s: float) -> dict[str, ExporterHealth]:
        """Let go of everything; how each exporter fared."""
        self._delivery.close(timeout_s)
        health = dict(self._delivery.health())
        self._journal.close()
        return health

    def _drain(self, patience_s: float, *, show: bool) -> None:
        left = whole = self._waiting_bytes()
        pause_s, moved_at_s = FIRST_LOOK_S, time.monotonic()
        with _progress(whole, show=show) as advance:
            while left and not self._stop.wait(pause_s):
                before, left = left, self._waiting_bytes()
                pause_s = min(pause_s * 1.5, LONGEST_LOOK_S)
                advance(whole - left)
                if left < before:
                    moved_at_s = time.monotonic()
                elif time.monotonic() - moved_at_s >= patience_s:
                    return

    def _follow(self, *, show: bool) -> None:
        if show:
            note("delivering what ended processes leave; Ctrl-C ends it")
        self._journal.start()
        while not self._stop.wait(ADOPT_EVERY_S):
            self._adopt()

    def _adopt(self) -> None:
        """Take over what ended processes left, as often as there may be more."""
        self._journal.adopt(**self._reach)

    @property
    def adopted(self) -> int:
        """Processes taken over so far, once for each exporter."""
        return self._journal.adopted

    def _waiting_bytes(self) -> int:
        return sum(backlog.unsent().size_bytes for backlog in self._backlogs)

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        """A first signal asks for the end; what comes after it has its usual effect."""
        known = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.getsignal(number) for number in known}

        def stop(number: int, _: Any) -> None:
            signal.signal(number, before[signal.Signals(number)])
            self._stop.set()

        for number in known:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number in known:
                signal.signal(number, before[number])


@contextmanager
def _progress(whole_bytes: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; elsewhere nothing."""
    console = terminal(stderr=True)
    if not (show and console.is_terminal):
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("delivering"),
        BarColumn(),
        TextColumn(f"{{task.percentage:>3.0f}} % of {shown_size(whole_bytes)}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=whole_bytes)
        yield lambda done_bytes: bar.update(task, completed=done_bytes)
