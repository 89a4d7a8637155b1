"""What a handler may be told, and what is said of anything else."""

from __future__ import annotations

from typing import Any

from turnspan import TurnspanError

__all__ = ["check_handler", "check_options"]


def check_options(*, agent: object, depth: object, **switches: object) -> None:
    """Refuse what would go wrong in each run, where nobody hears of it.

    Raises:
        TurnspanError: an option is of another type.
    """
    if agent is not None and not (isinstance(agent, str) and agent):
        _refuse("agent", agent, "a name, or leave it out for the run's own")
    if depth is not None and not (type(depth) is int and depth >= 0):
        _refuse("depth", depth, "how many levels of nodes are steps, or None for all")
    for name, said in switches.items():
        if type(said) is not bool:
            _refuse(name, said, "True or False")


def check_handler(given: Any, kind: type) -> None:
    """Refuse what is no handler, before every run of the process is told to it.

    Raises:
        TurnspanError: it is none, or a class.
    """
    if given is not None and not isinstance(given, kind):
        raise TurnspanError(
            f"{given!r} is no {kind.__name__}",
            fix=f"give {kind.__name__}(...), or nothing for one with the defaults",
        )


def _refuse(name: str, said: object, wanted: str) -> None:
    raise TurnspanError(f"TurnspanHandler({name}={said!r}) cannot be read", fix=f"give {wanted}")
