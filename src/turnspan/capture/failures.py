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
        "asyncio.exceptions.CancelledError",
        "concurrent.futures._base.CancelledError",
        "trio.Cancelled",
        "KeyboardInterrupt",
        "SystemExit",
    }
)
_PLAIN: Final = frozenset(map(id, (str, int, float, bool, type(None))))
_SLOT_WRAPPER: Final = type(object.__str__)
_OF_ERRORS: Final = BaseException.__dict__  # read through it: a subclass may hide its own


def status_of(error: BaseException) -> str:
    """The status that ``error`` gives whatever it ended."""
    for kind in _kinds(error):
        if kind is GeneratorExit:
            return "abandoned"
        if type_name(kind) in _CANCELLED:
            return "cancelled"
    return "error"


def error_of(error: BaseException, limits: Limits) -> dict[str, Any]:
    """Type, message and stack trace of ``error``, its causes included."""
    record = {"type": type_name(type(error)), "message": message_of(error, limits)}
    if _stored(error, "__traceback__") is not None:
        record["stacktrace"] = cut_text(
            _trace(error, limits), limits.max_bytes, words=limits.words
        )[0]
    return record


def message_of(error: BaseException, limits: Limits) -> str:
    """What the exception says, as far as that can be told without running its `__str__`."""
    arguments = _stored(error, "args")
    max_bytes = min(limits.max_bytes, MAX_MESSAGE_BYTES)
    if all(id(type(item)) in _PLAIN for item in arguments) and _speaks_plainly(error):
        return cut_text(_said(error), max_bytes, words=limits.words)[0]
    if _is(error, BaseExceptionGroup) and type(arguments[0]) is str:
        return cut_text(_said(error), max_bytes, words=limits.words)[0]
    told = arguments[0] if len(arguments) == 1 else arguments
    return to_json(told, Limits(max_bytes, 1000, 16, words=limits.words)).text


def _speaks_plainly(error: BaseException) -> bool:
    """Whether what its `__str__` shows beside `args` is plain, too."""
    if not _is(error, OSError):
        return True
    shown = (OSError.__dict__[name].__get__(error) for name in ("filename", "filename2"))
    return all(id(type(item)) in _PLAIN for item in shown)


def _said(error: BaseException) -> str:
    """By the `__str__` of the nearest exception class that is written in C."""
    for kind in _kinds(error):
        say = type.__getattribute__(kind, "__dict__").get("__str__")
        if type(say) is _SLOT_WRAPPER:
            return str(say(error))
    return ""


def _trace(error: BaseException, limits: Limits) -> str:
    parts: list[str] = []
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen and len(seen) < MAX_CAUSES:
        seen.add(id(following))
        parts.append(_told(following, limits))
        link, following = _cause(following)
        if following is not None and id(following) not in seen and len(seen) < MAX_CAUSES:
            parts.append(f"\n{link}\n")
    return "\n".join(reversed(parts))


def _cause(error: BaseException) -> tuple[str, BaseException | None]:
    """What led to ``error``, and how the standard library words it."""
    if (cause := _stored(error, "__cause__")) is not None:
        return "The above exception was the direct cause of the following exception:", cause
    if _stored(error, "__suppress_context__"):
        return "", None
    link = "During handling of the above exception, another exception occurred:"
    return link, _stored(error, "__context__")


def _told(error: BaseException, limits: Limits) -> str:
    """One exception of a chain: its frames, what it says, and the notes on it."""
    name, said = type_name(type(error)), message_of(error, limits)
    notes = _stored(error, "__dict__").get("__notes__")
    told = [f"{name}: {said}" if said else name]
    if type(notes) is list:
        told += [
            cut_text(note, MAX_MESSAGE_BYTES, words=limits.words)[0]
            for note in notes
            if type(note) is str
        ]
    return _frames(_stored(error, "__traceback__")) + "\n".join(told)


def _frames(traceback: TracebackType | None) -> str:
    from traceback import StackSummary, format_list, walk_tb  # here: only failures need it

    frames = [pair for pair in walk_tb(traceback) if not _ours(pair[0].f_code.co_filename)]
    summary = StackSummary.extract(iter(frames[-MAX_FRAMES:]), lookup_lines=True)
    return "Traceback (most recent call last):\n" + "".join(format_list(summary))


def _ours(filename: str) -> bool:
    return filename.startswith(_HERE)


def _kinds(error: BaseException) -> tuple[type, ...]:
    kinds: tuple[type, ...] = type.__dict__["__mro__"].__get__(type(error))
    return kinds


def _is(error: BaseException, kind: type) -> bool:
    """As `isinstance`, which would ask the exception for its `__class__`."""
    return any(klass is kind for klass in _kinds(error))


def _stored(error: BaseException, name: str) -> Any:
    return _OF_ERRORS[name].__get__(error)


_HERE: Final = __file__.rpartition("failures.py")[0]
