"""A passage: a value goes into a call and out of one, and is the same afterwards."""

from collections.abc import Callable
from typing import Any

from turnspan.testing.decorator_rules.nasties import Trap
from turnspan.testing.decorator_rules.trial import Trial, require, shown

__all__ = ["goes_through", "raised", "require_untouched"]


def goes_through(trial: Trial, kind: str, value: Any) -> None:
    """Require that ``value`` comes through a call as argument and as answer."""
    came: list[Any] = []

    def giving() -> Any:
        return value

    def taking(value: Any) -> None:
        came.append(value)

    def give(decorated: Any) -> None:
        came.append(decorated())

    def take(decorated: Any) -> None:
        decorated(value)

    for fn, call in ((giving, give), (taking, take)):
        caught = raised(trial, kind, call, trial.decorate(kind, fn))
        if caught is not None:
            said = f"{kind}: {fn.__name__} {_what(value)} raised {shown(caught)}"
            raise AssertionError(said) from caught
        where = "came back" if fn is giving else "arrived"
        holds = all(one is value for one in came)
        require(holds, f"{kind}: {_what(value)} {where} as another object")
        if trial.can("records"):
            trial.record(fn.__name__)


def raised(trial: Trial, kind: str, call: Callable[..., Any], *args: Any) -> Exception | None:
    """What comes out of a call, in `within`."""
    try:
        trial.answer(kind, call, *args)
    except Exception as exc:  # noqa: BLE001  # what it is, is the question
        return exc
    return None


def require_untouched(kind: str, trap: Trap) -> None:
    """Require that none of the trap's methods ran."""
    called = ", ".join(sorted(set(trap.touched)))
    require(not called, f"{kind}: to represent it, these ran: {called}")


def _what(value: object) -> str:
    return f"a {type(value).__name__}"
