"""Turns printed as trees that a person can read."""

import time
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from turnspan.errors import ExporterError, WireError
from turnspan.ports import Journalled, JournalledFeedback, Outcome
from turnspan.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ConsoleExporter", "from_url"]


class ConsoleExporter:
    """Prints each turn to ``file``, standard error unless given, in colour on a terminal.

    Feedback is a line. Standard error, because what a program writes to its standard output is
    its own. The stream is not ours and is never closed. A turn sent again after a crash is
    printed again.
    """

    takes_feedback = True

    def __init__(self, file: IO[str] | None = None) -> None:
        self._file = file
        self._console: Console | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """`console`: a process has one."""
        return "console"

    def export(self, batch: Sequence[Journalled], *, timeout_s: float) -> Outcome:
        """Print ``batch``; turns that found the time over or the stream broken are unsent."""
        if self._closed:
            return Outcome.all_unsent(len(batch), "the console exporter is closed")
        deadline_s = time.monotonic() + timeout_s
        refused = {}
        for index, turn in enumerate(batch):
            drawn = ""
            try:
                drawn = self._drawn(turn)
            except WireError as exc:
                refused[index] = exc.what
            except Exception as exc:  # noqa: BLE001  # border: rich; said with the dead letter
                refused[index] = f"it cannot be drawn: {type(exc).__name__}: {exc}"
            try:
                if time.monotonic() >= deadline_s:
                    raise TimeoutError(f"printing took longer than {timeout_s:g} s")
                self._write(drawn)
            except (OSError, ValueError) as exc:  # ValueError: the stream was closed
                refused.pop(index, None)
                left = frozenset(range(index, len(batch)))
                return Outcome(refused=refused, unsent=left, cause=f"cannot print: {exc}")
        return Outcome(refused=refused)

    def close(self, *, timeout_s: float) -> None:
        """Print no more. The stream stays open."""
        self._closed = True

    def _drawn(self, turn: Journalled) -> str:
        from turnspan.exporters.tree import feedback_line, turn_tree  # here: brings rich, pydantic

        if isinstance(turn, JournalledFeedback):
            return f"{feedback_line(turn.feedback)}\n"
        console = self._console = self._console or self._new_console()
        with console.capture() as captured:
            console.print(turn_tree(turn.turn))
            console.line()
        return captured.get()

    def _write(self, drawn: str) -> None:
        stream = self._stream()
        # A stream that cannot encode a character shows its code, rather than no turn at all.
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(drawn.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()

    def _stream(self) -> IO[str]:
        import sys  # asked each time, for it may be replaced

        return self._file if self._file is not None else sys.stderr

    def _new_console(self) -> "Console":
        from rich.console import Console

        return Console(file=self._file, stderr=self._file is None)


def from_url(url: str, *, settings: Settings) -> ConsoleExporter:  # noqa: ARG001  # as the registry calls it
    """The exporter that `console:`, `console:stderr` or `console:stdout` names."""
    import sys

    stream = url.partition(":")[2].strip("/")
    if stream not in {"", "stderr", "stdout"}:
        raise ExporterError(
            f"console: cannot print to {stream!r}",
            fix="write console: (standard error), console:stderr or console:stdout",
        )
    return ConsoleExporter(sys.stdout if stream == "stdout" else None)
