"""Callable objects, recorded: something that stands for the object in all it can do.

A function that is decorated is replaced by a function. An instance with `__call__`, a partial, a
cached or bound function is more than its call: it has attributes, a length, a state that can be
pickled. What stands for it hands everything but the call on to it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import MethodType
from typing import Any, cast

__all__ = ["stand_in"]

# What a class is made with, and what stand-ins do in their own way.
_OWN = frozenset(
    {
        "__call__", "__class__", "__class_getitem__", "__copy__", "__deepcopy__", "__del__",
        "__delattr__", "__delete__", "__get__", "__getattr__", "__getattribute__",
        "__getstate__", "__init__", "__init_subclass__", "__new__", "__reduce__",
        "__reduce_ex__", "__set__", "__set_name__", "__setattr__", "__setstate__",
        "__subclasshook__",
    }
)  # fmt: skip

Again = Callable[[Any], Any]


def stand_in(target: Any, call: Callable[..., Any], again: Again) -> Any:
    """What answers calls of ``target`` with ``call``, and all else as ``target`` does.

    ``again`` does the same to another target, such as a copy.
    """
    kind = type(target)
    namespace: dict[str, Any] = {
        name: _handed_on(kind, name)
        for name in dir(kind)
        if name.startswith("__") and name not in _OWN and callable(getattr(kind, name, None))
    }
    namespace |= {name: _attribute(name) for name in ("__module__", "__doc__")}
    namespace |= {"__slots__": (), "__call__": staticmethod(call)}
    if getattr(kind, "__hash__", None) is None:
        namespace["__hash__"] = None
    base = _Bindable if hasattr(kind, "__get__") else _StandIn
    made: Any = object.__new__(type(kind.__name__, (base,), namespace))
    object.__setattr__(made, "_turnspan", (target, again))
    return made


class _StandIn:
    """See `stand_in`."""

    __slots__ = ("__weakref__", "_turnspan")

    _turnspan: tuple[Any, Again]

    @property
    def __wrapped__(self) -> Any:
        return self._turnspan[0]

    @property  # type: ignore[misc]  # `isinstance` takes it for what it stands for
    def __class__(self) -> type:
        return type(self._turnspan[0])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._turnspan[0], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._turnspan[0], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._turnspan[0], name)

    def __copy__(self) -> Any:
        target, again = self._turnspan
        return again(copy.copy(target))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        target, again = self._turnspan
        return again(copy.deepcopy(target, memo))

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        target, again = self._turnspan
        return again, (target,)


class _Bindable(_StandIn):
    """For what becomes a method where it stands in a class, as a cached function does."""

    __slots__ = ()

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        target, again = self._turnspan
        bound = type(target).__get__(target, instance, owner)
        if bound is target:
            return self
        if type(bound) is MethodType and bound.__func__ is target:
            return MethodType(cast("Any", self), bound.__self__)
        return again(bound)


def _handed_on(kind: type, name: str) -> Callable[..., Any]:
    def hand_on(stand: object, *args: object, **kwargs: object) -> Any:
        return getattr(kind, name)(_behind(stand), *map(_behind, args), **kwargs)

    hand_on.__name__ = name
    return hand_on


def _attribute(name: str) -> property:
    return property(lambda stand: getattr(_behind(stand), name))


def _behind(given: object) -> Any:
    """What ``given`` stands for; itself where it is no stand-in."""
    if issubclass(type(given), _StandIn):
        return object.__getattribute__(given, "_turnspan")[0]
    return given
