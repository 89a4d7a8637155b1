"""turnspan records what your agents did, turn by turn.

It does no harm, it loses nothing, it costs almost nothing. Names are imported on first use:
importing turnspan starts no thread and reads no file and no environment.
"""

from typing import TYPE_CHECKING, Any

from turnspan.lazy import lazy_names

if TYPE_CHECKING:
    from turnspan.capture.block import turn
    from turnspan.capture.context import carry, session
    from turnspan.capture.decorators import agent, model, retrieval, step, tool
    from turnspan.capture.feedback import feedback
    from turnspan.capture.handles import OpenStep, OpenTurn, current_step, current_turn
    from turnspan.capture.policy import Policy
    from turnspan.delivery.health import FlushReport, Health
    from turnspan.errors import TurnspanError
    from turnspan.readers.reading import read
    from turnspan.runtime import Runtime, aflush, close, configure, flush, health

__all__ = [
    "FlushReport",
    "Health",
    "OpenStep",
    "OpenTurn",
    "Policy",
    "Runtime",
    "TurnspanError",
    "aflush",
    "agent",
    "carry",
    "close",
    "configure",
    "current_step",
    "current_turn",
    "feedback",
    "flush",
    "health",
    "model",
    "read",
    "retrieval",
    "session",
    "step",
    "tool",
    "turn",
]

__version__ = "0.1.0"

_HOMES = {
    "FlushReport": "turnspan.delivery.health",
    "Health": "turnspan.delivery.health",
    "OpenStep": "turnspan.capture.handles",
    "OpenTurn": "turnspan.capture.handles",
    "Policy": "turnspan.capture.policy",
    "Runtime": "turnspan.runtime",
    "TurnspanError": "turnspan.errors",
    "aflush": "turnspan.runtime",
    "agent": "turnspan.capture.decorators",
    "carry": "turnspan.capture.context",
    "close": "turnspan.runtime",
    "configure": "turnspan.runtime",
    "current_step": "turnspan.capture.handles",
    "current_turn": "turnspan.capture.handles",
    "feedback": "turnspan.capture.feedback",
    "flush": "turnspan.runtime",
    "health": "turnspan.runtime",
    "model": "turnspan.capture.decorators",
    "read": "turnspan.readers.reading",
    "retrieval": "turnspan.capture.decorators",
    "session": "turnspan.capture.context",
    "step": "turnspan.capture.decorators",
    "tool": "turnspan.capture.decorators",
    "turn": "turnspan.capture.block",
}

_load = lazy_names(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    value = _load(name)
    if _HOMES[name].startswith("turnspan.capture."):
        # Capture stands below the runtime: it is told here what to do on its first call.
        from turnspan.capture.active import active

        active.on_first_use(_first_use)
    return value


def _first_use() -> None:
    from turnspan.forks import held_off

    with held_off():
        from turnspan.runtime import first_use
    first_use()
