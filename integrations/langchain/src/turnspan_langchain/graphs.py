"""What LangGraph adds, where it is installed: interrupts, and control flow by exceptions.

Source: langgraph 1.2 (`langgraph.callbacks`, `langgraph.errors.GraphBubbleUp`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables.config import var_child_runnable_config

if TYPE_CHECKING:
    from uuid import UUID

    Callbacks = BaseCallbackHandler
else:
    try:
        # Only its subclasses are told of interrupts.
        from langgraph.callbacks import GraphCallbackHandler as Callbacks
    except ImportError:
        Callbacks = BaseCallbackHandler

__all__ = ["Callbacks", "ambient_parent", "ambient_thread", "outcome_of"]

# Ambient: what LangChain keeps in its own context variable while a run is going on.

_WAITING: Final = frozenset({"GraphInterrupt", "NodeInterrupt", "GraphDrained"})


def outcome_of(error: BaseException) -> Literal["ok", "paused"] | None:
    """The status of a run that control flow ended by ``error``; None for a real error."""
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "langgraph.errors"}
    if "GraphBubbleUp" not in names:
        return None
    return "paused" if names & _WAITING else "ok"


def ambient_parent() -> UUID | None:
    """The run that LangChain is in here; it tells of attempts of `with_fallbacks` only so."""
    config = var_child_runnable_config.get() or {}
    parent: UUID | None = getattr(config.get("callbacks"), "parent_run_id", None)
    return parent


def ambient_thread() -> object:
    """The `thread_id` of the run that LangChain is in here."""
    config = var_child_runnable_config.get() or {}
    return (config.get("configurable") or {}).get("thread_id")
