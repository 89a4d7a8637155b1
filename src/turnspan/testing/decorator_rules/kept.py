"""Kept: what a program can see of a function is what it was before."""

import copy
import inspect
import multiprocessing
import pickle
import sys
import typing
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from turnspan.testing.decorator_rules.fork import forking_allowed
from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.subjects import SUBJECTS, plain
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []

POOL_TIMEOUT_S = 10.0
MODULE = "turnspan_decorator_rules_subject"


@rule()
def the_signature(trial: Trial) -> None:
    """`inspect.signature` answers as before."""
    _same(trial, inspect.signature)


@rule()
def annotations(trial: Trial) -> None:
    """`typing.get_type_hints` answers as before."""
    _same(trial, typing.get_type_hints)


@rule()
def names_and_docs(trial: Trial) -> None:
    """Name, qualified name, module and docstring are as before."""
    names = ("__name__", "__qualname__", "__module__", "__doc__")
    _same(trial, lambda fn: [getattr(fn, name, None) for name in names])


@rule()
def attributes(trial: Trial) -> None:
    """Attributes set on the function are found on the decorated one."""
    _same(trial, lambda fn: getattr(fn, "marked", None))


@rule()
def what_is_wrapped(trial: Trial) -> None:
    """`inspect.unwrap` finds the function itself."""
    for kind, fn, decorated in _subjects(trial):
        found: object = inspect.unwrap(decorated)
        require(found is fn, f"{kind} {fn.__name__}: unwrapping it ends at {found!r:.80}")


@rule()
def iscoroutinefunction(trial: Trial) -> None:
    """`inspect.iscoroutinefunction` answers as before."""
    _same(trial, inspect.iscoroutinefunction)


@rule()
def isgeneratorfunction(trial: Trial) -> None:
    """`inspect.isgeneratorfunction` answers as before."""
    _same(trial, inspect.isgeneratorfunction)


@rule()
def isasyncgenfunction(trial: Trial) -> None:
    """`inspect.isasyncgenfunction` answers as before."""
    _same(trial, inspect.isasyncgenfunction)


@rule()
def pickling(trial: Trial) -> None:
    """A decorated function of a module is pickled by reference, as before."""
    for kind, fn, decorated in _in_module(trial):
        found: object = pickle.loads(pickle.dumps(decorated))  # noqa: S301  # it was ours a moment ago
        require(found is decorated, f"{kind} {fn.__name__}: what comes back is not it")


@rule(modules=("cloudpickle",))
def cloudpickling(trial: Trial) -> None:
    """A decorated local function is cloudpickled by value, and still answers."""
    import cloudpickle  # type: ignore[import-untyped]  # it ships no types

    def local(word: str) -> str:
        return f"out-{word}"

    for kind in trial.kinds:
        data = cloudpickle.dumps(trial.decorate(kind, local))
        restored: Any = pickle.loads(data)  # noqa: S301  # it was ours a moment ago
        answer = trial.answer(kind, restored, "in-5b1")
        require(answer == "out-in-5b1", f"{kind}: what comes back answers {answer!r}")


@rule()
def process_pools(trial: Trial) -> None:
    """A decorated function can be sent to a process pool, and answers there."""
    for kind, fn, decorated in _in_module(trial):
        if fn is not plain:
            continue
        with forking_allowed(), multiprocessing.get_context("fork").Pool(1) as pool:
            answer = pool.apply_async(decorated, (1,)).get(POOL_TIMEOUT_S)
        require(answer == {"two": 1}, f"{kind}: in the pool it answered {answer!r}")


@rule()
def deep_copies(trial: Trial) -> None:
    """A decorated function survives `copy.deepcopy`, and the copy answers as it does."""
    for kind, fn, decorated in _subjects(trial):
        if fn is plain:
            copied = copy.deepcopy({"callback": decorated})["callback"]
            answer = trial.answer(kind, copied, 1)
            require(answer == {"two": 1}, f"{kind}: the copy answers {answer!r}")


def _subjects(trial: Trial) -> Iterator[tuple[str, Callable[..., Any], Any]]:
    for kind in trial.kinds:
        for fn in SUBJECTS:
            yield kind, fn, trial.decorate(kind, fn)


def _same(trial: Trial, ask: Callable[[Any], Any]) -> None:
    for kind, fn, decorated in _subjects(trial):
        wanted, seen = ask(fn), ask(decorated)
        require(seen == wanted, f"{kind} {fn.__name__}: {seen!r:.120}, not {wanted!r:.120}")


def _in_module(trial: Trial) -> Iterator[tuple[str, Callable[..., Any], Any]]:
    """Each decorated subject while it stands in a module under its own name."""
    module = ModuleType(MODULE)
    sys.modules[MODULE] = module
    try:
        for kind in trial.kinds:
            for original in SUBJECTS:
                fn = _moved(original)
                decorated = trial.decorate(kind, fn)
                setattr(module, fn.__name__, decorated)
                yield kind, original, decorated
    finally:
        del sys.modules[MODULE]


def _moved(original: Callable[..., Any]) -> Any:
    """The same function once more, as if it had been written in that module."""
    assert isinstance(original, FunctionType)  # noqa: S101  # for the type checker
    fn = FunctionType(original.__code__, globals(), original.__name__, original.__defaults__)
    fn.__kwdefaults__ = original.__kwdefaults__
    fn.__module__, fn.__qualname__ = MODULE, original.__name__
    return fn
