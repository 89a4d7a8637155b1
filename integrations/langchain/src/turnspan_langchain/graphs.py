"""What LangGraph adds, where it is installed: interrupts, and control flow by exceptions.

Source: langgraph 1.2 (`langgraph.callbacks`, `langgraph.errors.GraphBubbleUp`); versions before
1.2 have the exceptions only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.runnables.config import var_child_runnable_config
from pydantic import BaseModel

from turnspan.integrations import Waiting

if TYPE_CHECKING:
    from uuid import UUID

    Callbacks = BaseCallbackHandler
else:
    try:
        # Only its subclasses are told of interrupts.
        from langgraph.callbacks import GraphCallbackHandler as Callbacks
    except ImportError:
        Callbacks = BaseCallbackHandler

__all__ = [
    "Callbacks",
    "ambient_parent",
    "ambient_setting",
    "fields_of",
    "holds_messages",
    "interrupts_in",
    "is_command",
    "is_interrupt_id",
    "outcome_of",
    "resumes",
    "shown_to_person",
    "update_of",
    "waiting_for",
]

# Ambient: what LangChain keeps in its own context variable while a run is going on.

_WAITING: Final = frozenset({"GraphInterrupt", "NodeInterrupt", "GraphDrained"})


def outcome_of(error: BaseException) -> Literal["ok", "paused"] | None:
    """The status of a run that control flow ended by ``error``; None for a real error."""
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "langgraph.errors"}
    if "GraphBubbleUp" not in names:
        return None
    return "paused" if names & _WAITING else "ok"


def interrupts_in(error: BaseException) -> Sequence[Any]:
    """The interrupts that ``error`` carries up through the graph."""
    found = error.args[0] if error.args else ()
    return found if isinstance(found, list | tuple) else ()


def waiting_for(
    thread: str | None, interrupts: Sequence[Any], checkpoint: str = "", namespace: str = ""
) -> Waiting | None:
    """For what a graph waits; without a thread nobody could ever resume it."""
    if thread is None:
        return None
    ids = tuple(str(each.id) for each in interrupts if getattr(each, "id", None))
    return Waiting(thread, checkpoint, namespace, ids)


def shown_to_person(interrupts: Sequence[Any]) -> Any:
    """What a person is asked: the payload of an interrupt, or of each."""
    asked = [getattr(each, "value", None) for each in interrupts]
    return asked[0] if len(asked) == 1 else asked or None


def is_command(value: object) -> bool:
    """Whether ``value`` is LangGraph's `Command`."""
    return type(value).__name__ == "Command" and hasattr(value, "resume")


def resumes(value: Any) -> bool:
    """Whether ``value`` is a `Command` that answers an interrupt."""
    return is_command(value) and value.resume is not None


def update_of(output: Any) -> Any:
    """What a node wrote and where it sent the graph, without the messages in it."""
    if is_command(output):
        told = {"goto": _targets(output.goto), "graph": output.graph}
        update = update_of(output.update)
        told = {key: item for key, item in told.items() if item}
        return (told | {"update": update} if update else told) or None
    if isinstance(output, list) and any(map(is_command, output)):
        return [each for each in map(update_of, output) if each] or None
    if holds_messages(output):
        return None
    if (fields := fields_of(output)) is not None:
        return {key: item for key, item in fields.items() if not holds_messages(item)} or None
    return output


def fields_of(state: object) -> Mapping[Any, Any] | None:
    """The fields of a state: a mapping, a dataclass or a model of pydantic's."""
    if isinstance(state, Mapping):
        return state
    if isinstance(state, BaseModel) or is_dataclass(state):
        return vars(state) if hasattr(state, "__dict__") else None
    return None


def holds_messages(value: Any) -> bool:
    """Whether ``value`` is a message or a list of messages."""
    if isinstance(value, list | tuple):
        return bool(value) and isinstance(value[-1], BaseMessage)
    return isinstance(value, BaseMessage)


def ambient_parent() -> UUID | None:
    """The run that LangChain is in here; it tells of attempts of `with_fallbacks` only so."""
    config = var_child_runnable_config.get()
    if not config:
        return None
    parent: UUID | None = getattr(config.get("callbacks"), "parent_run_id", None)
    return parent


def ambient_setting(name: str) -> object:
    """What the configuration of the run that LangChain is in here says under `configurable`."""
    config = var_child_runnable_config.get() or {}
    return (config.get("configurable") or {}).get(name)


def _targets(goto: Any) -> Any:
    """Names of the nodes; a `Send` is one with what it sends along."""
    if isinstance(goto, list | tuple):
        return [_targets(each) for each in goto]
    return getattr(goto, "node", goto)


def is_interrupt_id(key: object) -> bool:
    """Whether ``key`` is what LangGraph calls an interrupt by."""
    return isinstance(key, str) and len(key) == 32 and not key.strip("0123456789abcdef")
