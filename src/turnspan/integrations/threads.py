"""Threads that know in which turn they were started, without `turnspan.carry`.

    from turnspan.integrations import threads

    threads.install()

From then on `threading.Thread` and `concurrent.futures.ThreadPoolExecutor` take the turn, the
session and the OpenTelemetry context of whoever starts a thread or submits a call along, where
a turn is open or a session in force. No other context variable goes with them: they start as
empty as Python makes them. A thread keeps them for as long as it runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from threading import RLock, Thread
from typing import Any, Final

from turnspan.capture.context import Session, current_draft, current_session
from turnspan.capture.drafts import Draft
from turnspan.integrations.installed import Installed
from turnspan.integrations.patches import Patches

__all__ = ["Installed", "install", "uninstall"]

_patches: Final = Patches()
_lock: Final = RLock()
_is_submitting: ContextVar[bool] = ContextVar("turnspan_is_submitting", default=False)

# Their threads serve whoever comes, not whoever started them.
_SERVANTS: Final = ("concurrent.", "multiprocessing.")


def install() -> Installed:
    """Have new threads and submitted calls know their turn. Again, it does nothing."""
    with _lock:
        if _patches.are_on:
            return Installed(None)
        _patches.wrap(Thread, "start", _start)
        _patches.wrap(ThreadPoolExecutor, "submit", _submit)
        return Installed(uninstall)


def uninstall() -> None:
    """Put back what `install` replaced; threads that run keep what they have."""
    with _lock:
        _patches.undo()


class _Here:
    """What goes along into a thread."""

    __slots__ = ("_draft", "_session", "_spans")

    def __init__(self, draft: Draft | None, session: Session | None) -> None:
        from opentelemetry.context import get_current

        self._draft = draft
        self._session = session
        self._spans = get_current()

    def run(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call ``fn`` as if it were here."""
        from opentelemetry.context import attach, detach

        token, draft = attach(self._spans), current_draft.set(self._draft)
        session = current_session.set(self._session)
        try:
            return fn(*args, **kwargs)
        finally:
            current_session.reset(session)
            current_draft.reset(draft)
            detach(token)


def _here() -> _Here | None:
    """None where there is nothing to take along."""
    draft, session = current_draft.get(), current_session.get()
    if draft is not None and draft.turn.ended:
        draft = None
    return None if draft is None and session is None else _Here(draft, session)


def _start(original: Callable[[Thread], None], thread: Thread) -> None:
    here = None if _is_submitting.get() else _here()
    if here is None or type(thread).__module__.startswith(_SERVANTS):
        return original(thread)
    run, own = thread.run, {name: vars(thread)[name] for name in ("run",) if name in vars(thread)}

    def put_back() -> None:
        vars(thread).pop("run", None)  # it holds the thread
        vars(thread).update(own)

    def run_here() -> None:
        put_back()
        here.run(run)

    vars(thread)["run"] = run_here
    try:
        return original(thread)
    except BaseException:
        put_back()
        raise


def _submit(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    here = _here()
    if here is None or len(args) < 2 or not _shares_memory(args[0]):
        return original(*args, **kwargs)
    pool, fn, *given = args
    token = _is_submitting.set(True)  # a thread that the pool starts now will serve others, too
    try:
        return original(pool, functools.partial(here.run, fn), *given, **kwargs)
    finally:
        _is_submitting.reset(token)


def _shares_memory(pool: ThreadPoolExecutor) -> bool:
    """Whether what is submitted is called here; a pool of interpreters has it pickled."""
    ways = (getattr(kind, "prepare_context", None) for kind in (type(pool), ThreadPoolExecutor))
    theirs, plain = (getattr(way, "__func__", way) for way in ways)
    return theirs is plain
