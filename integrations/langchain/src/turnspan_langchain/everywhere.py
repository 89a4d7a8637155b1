"""One handler for every run in the process, without touching the code that runs.

Source: langchain-core 1.8 (`register_configure_hook`, which knows no way back, so ours stays and
names nobody once it is undone); langgraph 1.2 (`langgraph.callbacks`, which tells of interrupts
only handlers that a configuration names).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from threading import RLock
from typing import Any, Final, cast

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.tracers.context import register_configure_hook

from turnspan.integrations import Installed, Patches, contained
from turnspan_langchain.handler import TurnspanHandler
from turnspan_langchain.options import check_handler

__all__ = ["install"]

_lock: Final = RLock()
_patches: Final = Patches()


class _Everywhere:
    """Stands where LangChain asks a context variable: one answer in every thread and task."""

    def __init__(self) -> None:
        self.handler: TurnspanHandler | None = None
        self.is_registered: bool = False

    def get(self) -> TurnspanHandler | None:
        return self.handler


_everywhere: Final = _Everywhere()


def install(handler: TurnspanHandler | None = None) -> Installed:
    """Record every run in this process with ``handler``, or with one of its own.

    A run that is given a `TurnspanHandler` of its own is recorded by that one alone, with its
    options. Installed already, it does nothing. `undo` of what it answers takes it back; runs
    that are open then are recorded to their end.

    Raises:
        TurnspanError: ``handler`` is none.
    """
    check_handler(handler, TurnspanHandler)
    with _lock:
        if _everywhere.handler is not None:
            return Installed(None)
        if not _everywhere.is_registered:
            _everywhere.is_registered = True
            where = cast("ContextVar[Any]", _everywhere)
            register_configure_hook(where, inheritable=True, handle_class=TurnspanHandler)
        _everywhere.handler = handler or TurnspanHandler()
        _listen_to_graphs()
        return Installed(_uninstall)


def _uninstall() -> None:
    with _lock:
        _everywhere.handler = None
        _patches.undo()


def _listen_to_graphs() -> None:
    try:
        from langgraph import callbacks  # where it is installed
    except ImportError:
        return
    for name in ("_GraphCallbackManager", "_AsyncGraphCallbackManager"):
        if (manager := getattr(callbacks, name, None)) is not None:
            _patches.wrap(manager, "configure", _configured)


def _configured(original: Callable[..., BaseCallbackManager], *args: Any, **kwargs: Any) -> Any:
    manager = original(*args, **kwargs)
    _join(manager)
    return manager


@contained
def _join(manager: BaseCallbackManager) -> None:
    handler = _everywhere.handler
    if handler is None or any(isinstance(each, TurnspanHandler) for each in manager.handlers):
        return
    manager.add_handler(handler)
