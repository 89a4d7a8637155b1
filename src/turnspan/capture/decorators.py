"""The decorators: what to record of a function, said once above it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from turnspan.capture.calls import Call, Parameters
from turnspan.capture.wrappers import wrap
from turnspan.errors import CaptureError

__all__ = ["agent", "model", "retrieval", "step", "tool"]

# The decorated callable keeps its own type: overloads, descriptors and all. That says more
# than a ParamSpec can, which knows neither.
F = TypeVar(
    "F",
    bound="Callable[..., Any] | staticmethod[..., Any] | classmethod[Any, ..., Any] | property"
    " | functools.cached_property[Any] | functools.partialmethod[Any]",
)
# Source: https://github.com/open-telemetry/semantic-conventions-genai, `gen_ai.operation.name`
_OPERATIONS = ("chat", "generate_content", "text_completion", "embeddings")
Reasoning = Callable[[Any], str | None]


@overload
def agent(fn: F, /) -> F: ...
@overload
def agent(
    *,
    name: str | None = None,
    id: str | None = None,
    version: str | None = None,
    description: str | None = None,
    state: Callable[[], Any] | None = None,
    reasoning: Reasoning | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Callable[[F], F]: ...
def agent(
    fn: Any = None,
    /,
    *,
    name: str | None = None,
    state: Callable[[], Any] | None = None,
    reasoning: Reasoning | None = None,
    metadata: Mapping[str, Any] | None = None,
    **identity: str | None,
) -> Any:
    """Record each outermost call as a turn; a call inside a turn is a step of it.

    ``state`` is called before and after, and what it returns is stored beside the turn.
    ``reasoning`` is given the result and answers why the agent came to it.

    Raises:
        CaptureError: at decoration, for what is no function, method or callable object, and
            for options of another type.
    """
    _only(identity, ("id", "version", "description"))
    _check("agent", name=name, state=state, reasoning=reasoning, metadata=metadata, **identity)

    def describe(inner: Callable[..., Any]) -> Call:
        label = name or _name(inner)
        who = {"name": label, **{key: said for key, said in identity.items() if said}}
        return _call(
            "agent",
            label,
            inner,
            known={"agent": who},
            state=state,
            reasoning=reasoning,
            metadata=metadata,
        )

    return _decorate(fn, describe)


@overload
def tool(fn: F, /) -> F: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    type: str = "function",
    metadata: Mapping[str, Any] | None = None,
) -> Callable[[F], F]: ...
def tool(
    fn: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    type: str = "function",  # the conventions' word
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """Record each call inside a turn as a tool step, arguments by parameter name.

    Raises:
        CaptureError: at decoration, for what is no function, method or callable object, and
            for options of another type.
    """
    _check("tool", name=name, description=description, type=type, metadata=metadata)

    def describe(inner: Callable[..., Any]) -> Call:
        known = {"type": type, **({"description": description} if description else {})}
        return _call("tool", name or _name(inner), inner, known={"tool": known}, metadata=metadata)

    return _decorate(fn, describe)


@overload
def model(fn: F, /) -> F: ...
@overload
def model(
    *,
    name: str | None = None,
    provider: str | None = None,
    operation: str = "chat",
    reasoning: Reasoning | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Callable[[F], F]: ...
def model(
    fn: Any = None,
    /,
    *,
    name: str | None = None,
    provider: str | None = None,
    operation: str = "chat",
    reasoning: Reasoning | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """Record each call inside a turn as a model step.

    ``name`` is the model asked for; an argument `model` of the call says it otherwise. Usage,
    answering model, finish reason, tool calls and reasoning are read from what OpenAI,
    Anthropic, LangChain and LiteLLM clients return. ``operation`` is `chat`,
    `generate_content`, `text_completion` or `embeddings`.

    Raises:
        CaptureError: at decoration, for what is no function, method or callable object, and
            for options of another type.
    """
    _check("model", name=name, provider=provider, operation=operation, metadata=metadata)
    _check("model", reasoning=reasoning)
    if operation not in _OPERATIONS:
        raise CaptureError(
            f"model(operation={operation!r}) is nothing that a model does",
            fix=f"one of: {', '.join(_OPERATIONS)}",
        )

    def describe(inner: Callable[..., Any]) -> Call:
        known: dict[str, Any] = {"operation": operation} if operation != "chat" else {}
        known |= {"provider": provider} if provider else {}
        known |= {"request_model": name} if name else {}
        return _call(
            "model",
            name or _name(inner),
            inner,
            known={"model": known} if known else {},
            reasoning=reasoning,
            metadata=metadata,
        )

    return _decorate(fn, describe)


@overload
def retrieval(fn: F, /) -> F: ...
@overload
def retrieval(
    *, name: str | None = None, metadata: Mapping[str, Any] | None = None
) -> Callable[[F], F]: ...
def retrieval(
    fn: Any = None, /, *, name: str | None = None, metadata: Mapping[str, Any] | None = None
) -> Any:
    """Record each call inside a turn as a retrieval step.

    Raises:
        CaptureError: at decoration, for what is no function, method or callable object, and
            for options of another type.
    """
    _check("retrieval", name=name, metadata=metadata)
    return _decorate(
        fn, lambda inner: _call("retrieval", name or _name(inner), inner, metadata=metadata)
    )


@overload
def step(fn: F, /) -> F: ...
@overload
def step(
    *,
    name: str | None = None,
    reasoning: Reasoning | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Callable[[F], F]: ...
def step(
    fn: Any = None,
    /,
    *,
    name: str | None = None,
    reasoning: Reasoning | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """Record each call inside a turn as a plain step.

    Raises:
        CaptureError: at decoration, for what is no function, method or callable object, and
            for options of another type.
    """
    _check("step", name=name, reasoning=reasoning, metadata=metadata)
    return _decorate(
        fn,
        lambda inner: _call(
            "step", name or _name(inner), inner, reasoning=reasoning, metadata=metadata
        ),
    )


def _decorate(fn: Any, describe: Callable[[Callable[..., Any]], Call]) -> Any:
    if fn is None:
        return functools.partial(wrap, describe=describe)
    return wrap(fn, describe)


def _call(
    kind: str,
    name: str,
    inner: Callable[..., Any],
    *,
    known: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    **more: Any,
) -> Call:
    said = {"metadata": _written(metadata)} if metadata else {}
    return Call(kind, name, Parameters.of(inner), {**(known or {}), **said}, **more)


def _written(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """As it will be on the wire: every call carries it, and none pays for it."""
    import orjson  # here, with the next: most decorators have no metadata

    from turnspan.capture.values import Limits, encodable, to_json

    return {
        encodable(key): orjson.Fragment(to_json(item, Limits()).text)
        for key, item in metadata.items()
        if issubclass(type(key), str)
    }


def _check(what: str, **given: Any) -> None:
    """Refuse at decoration what every call would fail over."""
    for key, said in given.items():
        if key in ("state", "reasoning"):
            _check_callable(what, key, said)
        elif key == "metadata" and said is not None and not isinstance(said, Mapping):
            raise CaptureError(f"{what}({key}={said!r}) is no mapping", fix="give a dict")
        elif key != "metadata" and said is not None and not isinstance(said, str):
            raise CaptureError(f"{what}({key}={said!r}) is no string", fix="give a string")


def _check_callable(what: str, key: str, given: Any) -> None:
    if given is not None and (not callable(given) or inspect.iscoroutinefunction(given)):
        raise CaptureError(
            f"{what}({key}={given!r}) is no function to call",
            fix="give a plain function that answers at once",
        )


def _name(inner: Callable[..., Any]) -> str:
    if isinstance(inner, functools.partial):
        return _name(inner.func)
    name = getattr(inner, "__name__", None)
    return name if isinstance(name, str) else type(inner).__name__


def _only(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise TypeError(f"agent() got an unexpected keyword argument {name!r}")
