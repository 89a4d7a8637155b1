"""The one runtime of a process: `configure` builds it, `close` ends it."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

# The front door's names, loaded by now: a signal handler that asks for one first may have come
# in the middle of the import that brings it.
from turnspan.capture import block, feedback, handles  # noqa: F401
from turnspan.capture.active import active
from turnspan.capture.policy import Policy
from turnspan.composition import Runtime, seconds
from turnspan.delivery.health import FlushReport, Health
from turnspan.delivery.sigterm import SigtermHook
from turnspan.exporters.registry import build_all
from turnspan.notices import hide_with, say
from turnspan.ports import Exporter
from turnspan.settings import Settings, unknown
from turnspan.telemetry import SelfMetrics

__all__ = [
    "Maker",
    "Runtime",
    "aflush",
    "close",
    "configure",
    "first_use",
    "flush",
    "health",
    "stand_in",
]


class _Unsaid(str):
    """A default, told apart from the same text given as an argument, which wins."""

    __slots__ = ()


_DIRECTORY: Final = _Unsaid(".turnspan")
_SPANS: Final = _Unsaid("auto")
_lock = threading.RLock()
_current: Runtime | None = None
_problem: str | None = None


Maker = Callable[[Mapping[str, Any], Sequence["str | Exporter"] | None, Policy | None], Runtime]
"""From options, exporters and policy as `configure` was given them to a runtime."""


def configure(
    *,
    exporters: Sequence[str | Exporter] | None = None,
    directory: str | os.PathLike[str] | None = _DIRECTORY,
    service_name: str | None = None,
    spans: str = _SPANS,
    policy: Policy | None = None,
    **settings: Any,
) -> Runtime:
    """Say where turns go. Again: the runtime before it is closed within its timeout.

    ``exporters`` are URLs (`https://…`, `otlp+http://…`, `file:turns.jsonl`, `console:`) and
    exporter objects. ``directory=None`` keeps turns in a ring in memory. ``settings`` are the
    other options of `docs/settings.md`; what is left out comes from the environment.

    Raises:
        SettingsError: an option is unknown or its value unreadable, or options contradict.
        ExporterError: a destination cannot be built.
    """
    given = dict(settings)
    if not isinstance(directory, _Unsaid):
        given["directory"] = directory
    if service_name is not None:
        given["service_name"] = service_name
    if not isinstance(spans, _Unsaid):
        given["spans"] = spans
    return _install(_make(given, exporters, policy))


@contextmanager
def stand_in(make: Maker) -> Iterator[None]:
    """Let `configure` get its runtimes from ``make`` for a while, and begin unconfigured.

    The runtime that was in force is neither closed nor asked meanwhile, and comes back
    afterwards; the last one that ``make`` made is closed then.
    """
    global _make, _current, _problem  # there is one runtime a process
    with _lock:
        before = _make, _current, _problem
        recorder = active.swap((None, True))
        _make, _current, _problem = make, None, None
    try:
        yield
    finally:
        with _lock:
            made = _current
            _make, _current, _problem = before
            active.swap(recorder)
        if made is not None:
            made.close(0.0)


def first_use() -> None:
    """Configure from the environment alone, as the first captured call does."""
    global _problem  # noqa: PLW0603  # there is one runtime a process
    try:
        configure()
    except Exception as exc:
        _problem = str(exc)
        raise


def flush(timeout_s: float = 5.0) -> FlushReport:
    """Deliver what was recorded by now, within ``timeout_s``; what became of it.

    Raises:
        TypeError: ``timeout_s`` is no number.
    """
    return _current.flush(timeout_s) if _current else FlushReport()


async def aflush(timeout_s: float = 5.0) -> FlushReport:
    """`flush` without blocking the event loop; cancelled, it goes on without anybody waiting."""
    from turnspan.aside import run_aside  # here: brings asyncio

    return await run_aside(lambda: flush(timeout_s))


def close(timeout_s: float = 5.0) -> FlushReport:
    """Deliver what can be delivered within ``timeout_s``, and stop recording.

    Raises:
        TypeError: ``timeout_s`` is no number; nothing was closed.
    """
    global _current  # there is one runtime a process
    timeout_s = seconds(timeout_s)
    with _lock:
        runtime, _current = _current, None
        active.use(None)
        _sigterm.remove()
    return runtime.close(timeout_s) if runtime else FlushReport()


_sigterm: Final = SigtermHook(flush)


def health() -> Health:
    """How recording and delivery are doing; why recording is off, where it is."""
    return _current.health() if _current else Health(problem=_problem)


def _from_environment(
    given: Mapping[str, Any], exporters: Sequence[str | Exporter] | None, policy: Policy | None
) -> Runtime:
    read = Settings.read(os.environ, given)
    policy = Policy.chosen(policy, read, given)
    for name, fix in unknown(os.environ).items():  # misspelt, one that hides would hide nothing
        say(f"variable {name}", "turnspan: %s is no variable of turnspan: %s", name, fix)
    targets = read.exporters if exporters is None else exporters
    built = build_all(targets, settings=read)
    return Runtime(read, built, policy=policy, on_delivered=_metrics.delivered)


_make: Maker = _from_environment


def _journal_bytes() -> int | None:
    journal = _current.journal if _current else None
    return journal.directory.size_bytes() if journal else None


_metrics: Final = SelfMetrics(lambda: _current.health() if _current else None, _journal_bytes)


def _install(runtime: Runtime) -> Runtime:
    global _current, _problem  # there is one runtime a process
    with _lock:
        before, _current, _problem = _current, runtime, None
        active.use(None if runtime.settings.disabled else runtime.recorder)
        if runtime.settings.on_sigterm:
            _sigterm.install(runtime.settings.exit_s)
        else:
            _sigterm.remove()
    redaction = runtime.recorder.redaction
    hide_with(None if redaction is None else redaction.told)
    if not runtime.settings.disabled:
        _metrics.make(os.environ)
    if before is not None:
        before.close(before.settings.exit_s)
        runtime.adopt()  # what it could not deliver
    return runtime


def _close_at_exit() -> None:
    with _lock:
        runtime = _current
    if runtime is not None:
        runtime.leave()


def _start_over_in_child() -> None:
    global _lock  # noqa: PLW0603  # another thread of the parent may have held it
    _lock = threading.RLock()
    if _current is not None:
        _current.start_over()
        if active.recorder is not None:
            active.use(_current.recorder)


atexit.register(_close_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_in_child)
