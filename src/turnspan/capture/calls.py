"""A decorated callable as the recorder knows it, and how a call of it becomes content."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson

from turnspan.capture.hidden import HIDDEN
from turnspan.capture.parts import looks_like_message
from turnspan.capture.secret_names import is_secret
from turnspan.interrupts import is_anothers

__all__ = ["Call", "Parameters"]

# What methods call the object they are of. A name is all there is to go by: below
# `@staticmethod` a function of a class looks like its methods.
_ITSELF = frozenset({"self", "cls", "mcs", "mcls", "metacls", "this", "_self", "_cls", "klass"})


class Parameters:
    """The names behind the arguments of a call. `self` and `cls` are not among them."""

    __slots__ = ("itself", "names", "one", "rest", "skipped")

    def __init__(self, names: tuple[str, ...] = (), itself: str = "", rest: str = "args") -> None:
        skipped = 1 if itself else 0
        self.itself: str = itself
        self.names: tuple[str, ...] = names
        self.skipped: int = skipped
        self.rest: str = rest
        self.one: int = skipped + 1  # so many positional arguments are a call with a single one

    @classmethod
    def of(cls, fn: Callable[..., Any]) -> Parameters:
        """Read from the signature; none where a callable has no readable one."""
        try:
            found = list(inspect.signature(fn).parameters.values())
        except Exception as exc:  # border: the callable is asked, and its own code may answer
            if is_anothers(exc):
                raise
            return _WithSecrets()
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in found if p.kind in kinds]
        bound = bool(names) and names[0] in _ITSELF and not isinstance(fn, partial)
        rest = next((p.name for p in found if p.kind is p.VAR_POSITIONAL), "args")
        open_ended = any(p.kind is p.VAR_KEYWORD for p in found)
        secret = any(is_secret(p.name) for p in found)
        kind = _WithSecrets if secret or open_ended else cls
        known = kind(tuple(names[bound:]), names[0] if bound else "", rest)
        if secret:
            known.one = -1  # never a single text that goes without its name
        return known

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of one call by parameter name."""
        names = self.names
        if len(args) == 1 and not kwargs and names and not self.skipped:
            return {names[0]: args[0]}
        if self.skipped:
            args = args[self.skipped :]
        named = dict(zip(names, args))  # noqa: B905  # strict= would cost the caller
        if len(args) > len(names):
            named[self.rest] = args[len(names) :]
        if kwargs:
            named.update(kwargs)
            named.pop(self.itself, None)
        return named


class _WithSecrets(Parameters):
    """Parameters of which some are secret by their name, or may be."""

    __slots__ = ()

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of one call by parameter name, without those of a secret name."""
        named = super().named(args, kwargs)
        return {
            name: item if item is None or not is_secret(name) else HIDDEN
            for name, item in named.items()
        }


class Call:
    """One decorated callable: what it is called, what kind it is, what is known beforehand.

    ``known`` goes onto every step as it is, in wire shape; ``agent`` is who acts.
    """

    __slots__ = (
        "agent",
        "extras",
        "kind",
        "known",
        "name",
        "output_type",
        "parameters",
        "reasoning",
        "state",
    )

    def __init__(
        self,
        kind: str,
        name: str,
        parameters: Parameters,
        known: Mapping[str, Any],
        *,
        state: Callable[[], Any] | None = None,
        reasoning: Callable[[Any], str | None] | None = None,
    ) -> None:
        self.kind: str = kind
        self.name: str = name
        self.parameters: Parameters = parameters
        self.known: Mapping[str, Any] = known
        self.agent: Mapping[str, Any] = known.get("agent") or {"name": name}
        self.state: Callable[[], Any] | None = state
        self.reasoning: Callable[[Any], str | None] | None = reasoning
        self.extras: bool = bool(state or reasoning or "metadata" in known)
        self.output_type: str = "tool_result" if kind == "tool" else "text"

    def __reduce__(self) -> tuple[Any, ...]:
        known = dict(self.known)
        if "metadata" in known:  # JSON that is written already, which is not pickled
            known["metadata"] = orjson.dumps(known["metadata"])
        given = (self.kind, self.name, self.parameters, known, self.state, self.reasoning)
        return _rebuilt, given


def _rebuilt(
    kind: str, name: str, parameters: Parameters, known: dict[str, Any], state: Any, reasoning: Any
) -> Call:
    if "metadata" in known:
        entries = orjson.loads(known["metadata"])
        written = {key: orjson.Fragment(orjson.dumps(item)) for key, item in entries.items()}
        known = {**known, "metadata": written}
    return Call(kind, name, parameters, known, state=state, reasoning=reasoning)


def messages_in(named: Mapping[str, Any]) -> str | None:
    """The name of the argument that is a list of messages, where there is one."""
    for name in ("messages", "input", "prompt"):
        if _is_messages(named.get(name)):
            return name
    if len(named) == 1:
        ((name, value),) = named.items()
        return name if _is_messages(value) else None
    return None


def _is_messages(value: object) -> bool:
    if type(value) is not list and type(value) is not tuple:
        return False
    return bool(value) and looks_like_message(value[-1])
