"""Exceptions of the caller → status and error record, without running the caller's code."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final

from turnspan.capture.stored import type_name
from turnspan.capture.values import Limits, cut_text, to_json

__all__ = ["error_of", "status_of"]

MAX_FRAMES: Final = 50
MAX_CAUSES: Final = 5
MAX_MESSAGE_BYTES: Final = 16 * 1024

_CANCELLED: Final = frozenset(
    {
        ("asyncio.exceptions", "CancelledError"),
        ("concurrent.futures._base", "CancelledError"),
        ("trio", "Cancelled"),
        ("builtins", "KeyboardInterrupt"),
        ("builtins", "SystemExit"),
    }
)
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_SLOT_WRAPPER: Final = type(object.__str__)


def status_of(error: BaseException) -> str:
    """The status that ``error`` gives whatever it ended."""
    for kind in type.__dict__["__mro__"].__get__(type(error)):
        if kind is GeneratorExit:
            return "abandoned"
        if (kind.__module__, kind.__name__) in _CANCELLED:
            return "cancelled"
    return "error"


def error_of(error: BaseException, limits: Limits) -> dict[str, Any]:
    """Type, message and stack trace of ``error``, its causes included."""
    record = {"type": type_name(type(error)), "message": message_of(error, limits)}
    if error.__traceback__ is not None:
        record["stacktrace"] = cut_text(_trace(error, limits), limits.max_bytes)[0]
    return record


def message_of(error: BaseException, limits: Limits) -> str:
    """What the exception says, as far as that can be told without running its `__str__`."""
    arguments = BaseException.__dict__["args"].__get__(error)
    if all(type(item) in _PLAIN for item in arguments):
        return cut_text(_said(error), min(limits.max_bytes, MAX_MESSAGE_BYTES))[0]
    if len(arguments) == 1:
        return to_json(arguments[0], Limits(MAX_MESSAGE_BYTES, 1000, 16)).text
    return to_json(arguments, Limits(MAX_MESSAGE_BYTES, 1000, 16)).text


def _said(error: BaseException) -> str:
    """By the `__str__` of the nearest exception class that is written in C."""
    for kind in type.__dict__["__mro__"].__get__(type(error)):
        say = type.__getattribute__(kind, "__dict__").get("__str__")
        if type(say) is _SLOT_WRAPPER:
            return str(say(error))
    return ""


def _trace(error: BaseException, limits: Limits) -> str:
    parts = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen and len(seen) < MAX_CAUSES:
        seen.add(id(error))
        said = f"{type_name(type(error))}: {message_of(error, limits)}".rstrip(": ")
        parts.append(_frames(error.__traceback__) + said)
        link = "The above exception was the direct cause of the following exception:"
        cause = error.__cause__
        if cause is None and not error.__suppress_context__:
            link = "During handling of the above exception, another exception occurred:"
            cause = error.__context__
        if cause is None:
            break
        parts.append(f"\n{link}\n")
        error = cause
    return "\n".join(reversed(parts))


def _frames(traceback: TracebackType | None) -> str:
    from traceback import format_list, walk_tb  # here: only failures need it
    from traceback import StackSummary

    frames = [pair for pair in walk_tb(traceback) if not _ours(pair[0].f_code.co_filename)]
    summary = StackSummary.extract(iter(frames[-MAX_FRAMES:]), lookup_lines=True)
    return "Traceback (most recent call last):\n" + "".join(format_list(summary))


def _ours(filename: str) -> bool:
    return filename.startswith(_HERE)


_HERE: Final = __file__.rpartition("failures.py")[0]
