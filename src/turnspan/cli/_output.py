"""What the commands print: trees, lines and JSON, on streams that may end or be narrow."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = [
    "counted",
    "logged",
    "note",
    "print_bytes",
    "print_json",
    "show",
    "show_line",
    "shown_length",
    "shown_size",
    "shown_time",
    "terminal",
    "write",
]

_UNITS: Final = ((30, "GiB"), (20, "MiB"), (10, "KiB"))


def show(*renderables: RenderableType) -> None:
    """Print ``renderables`` of rich, plainly where it is no terminal or NO_COLOR is set.

    A bare text is left to the terminal to wrap, so that it can be copied whole.
    """
    from rich.text import Text

    console = terminal()
    with console.capture() as captured:
        for each in renderables:
            console.print(each, soft_wrap=isinstance(each, Text))
    lines = captured.get().split("\n")
    write("\n".join(line.rstrip() for line in lines), sys.stdout)


def show_line(text: str) -> None:
    """Print one line, cut to the width of a terminal; in a pipe it is whole."""
    if not sys.stdout.isatty():
        write(f"{text}\n", sys.stdout)
        return
    from rich.text import Text

    line = Text(text)
    line.truncate(terminal().width, overflow="ellipsis")
    show(line)


def terminal(*, stderr: bool = False) -> Console:
    """The console of rich on standard output or error."""
    from rich.console import Console

    class Pipe(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise BrokenPipeError

    return Pipe(stderr=stderr, highlight=False)


def note(text: str) -> None:
    """Say something beside the output, on standard error."""
    write(f"{text}\n", sys.stderr)


def print_json(value: Any) -> None:
    """Print ``value`` as one line of JSON."""
    write(json.dumps(value, ensure_ascii=False, default=str) + "\n", sys.stdout)


def print_bytes(line: bytes) -> None:
    """Print a journalled line, byte for byte."""
    sys.stdout.flush()
    sys.stdout.buffer.write(line.rstrip(b"\n") + b"\n")
    sys.stdout.buffer.flush()


def write(text: str, stream: IO[str]) -> None:
    """Write and flush; what ``stream`` cannot encode is shown by its code."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def shown_time(at_ns: int) -> str:
    """``at_ns`` since the epoch as local date and time; empty for 0."""
    if not at_ns:
        return ""
    moment = datetime.fromtimestamp(at_ns / 1e9, tz=UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def shown_length(length_ns: int) -> str:
    """A length of time as a person reads it: `12 s`, `5 min`, `3 h`, `2 d`."""
    length_s = max(length_ns, 0) / 1e9
    for unit, unit_s, until_s in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if length_s < until_s:
            return f"{length_s / unit_s:.0f} {unit}"
    return f"{length_s / 86_400:.0f} d"


def shown_size(size_bytes: int) -> str:
    """``size_bytes`` in the unit that suits it."""
    for bits, unit in _UNITS:
        if size_bytes >= 1 << bits:
            return f"{size_bytes / (1 << bits):.1f} {unit}"
    return f"{size_bytes} B"


def counted(count: int, noun: str) -> str:
    """``count`` with its noun, in the plural where there is not one."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


@contextmanager
def logged() -> Iterator[None]:
    """Show what turnspan logs on standard error, without the trimmings of a log."""
    handler = _ToStderr()
    handler.setFormatter(_Plain())
    logger = logging.getLogger("turnspan")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Plain(logging.Formatter):
    """A message that says by itself who speaks is not told so twice."""

    def format(self, record: logging.LogRecord) -> str:
        said = super().format(record)
        return said if said.startswith(("turnspan ", "turnspan: ")) else f"turnspan: {said}"


class _ToStderr(logging.StreamHandler[Any]):
    """Asks for `sys.stderr` each time: a progress bar may have replaced it."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        record.exc_info = record.exc_text = None  # the cause is in the message
        super().emit(record)
