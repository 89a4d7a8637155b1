"""Methods: decorated above or below their descriptor, they are bound as before."""

from typing import Any

from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []


class Holder:
    """Has the methods that are decorated; what it is called must not be in any input."""

    def __init__(self, greeting: str = "holder-3fa") -> None:
        self.greeting: str = greeting


@rule()
def a_method(trial: Trial) -> None:
    """A method answers as before, and its input has the arguments without `self`."""

    def plain(self: Holder, word: str) -> str:
        return f"{self.greeting}-{word}"

    for kind in trial.kinds:
        owner = _owner(trial.decorate(kind, plain))
        answer = trial.answer(kind, owner().plain, "in-5b1")
        trial.answered(kind, answer, "holder-3fa-in-5b1")
        _without_owner(trial, kind)


@rule()
def an_async_method(trial: Trial) -> None:
    """A coroutine method answers as before, and its input has the arguments without `self`."""

    async def plain(self: Holder, word: str) -> str:
        return f"{self.greeting}-{word}"

    for kind in trial.kinds:
        owner = _owner(trial.decorate(kind, plain))
        answer = trial.awaited(kind, owner().plain, "in-5b1")
        trial.answered(kind, answer, "holder-3fa-in-5b1")
        _without_owner(trial, kind)


@rule()
def a_bound_method(trial: Trial) -> None:
    """A method taken from its object and then decorated answers as before."""
    for kind in trial.kinds:
        decorated = trial.decorate(kind, "a-b".split)
        trial.answered(kind, trial.answer(kind, decorated, "-"), ["a", "b"])


@rule()
def a_classmethod_above_it(trial: Trial) -> None:
    """With `@classmethod` above the decorator, class and object answer as before."""

    def plain(cls: type[Holder], word: str) -> str:
        return f"{cls.__name__}-{word}"

    for kind in trial.kinds:
        _on_class_and_object(trial, kind, classmethod(trial.decorate(kind, plain)), "Owner-in-5b1")
        _without_owner(trial, kind)


@rule()
def a_classmethod_below_it(trial: Trial) -> None:
    """With `@classmethod` below the decorator, class and object answer as before."""

    def plain(cls: type[Holder], word: str) -> str:
        return f"{cls.__name__}-{word}"

    for kind in trial.kinds:
        _on_class_and_object(trial, kind, trial.decorate(kind, classmethod(plain)), "Owner-in-5b1")
        _without_owner(trial, kind)


@rule()
def a_staticmethod_above_it(trial: Trial) -> None:
    """With `@staticmethod` above the decorator, class and object answer as before."""

    def plain(word: str) -> str:
        return f"out-{word}"

    for kind in trial.kinds:
        _on_class_and_object(trial, kind, staticmethod(trial.decorate(kind, plain)), "out-in-5b1")


@rule()
def a_staticmethod_below_it(trial: Trial) -> None:
    """With `@staticmethod` below the decorator, class and object answer as before."""

    def plain(word: str) -> str:
        return f"out-{word}"

    for kind in trial.kinds:
        _on_class_and_object(trial, kind, trial.decorate(kind, staticmethod(plain)), "out-in-5b1")


@rule()
def a_property_getter(trial: Trial) -> None:
    """A decorated getter of a property is read as before, and recorded."""

    def plain(self: Holder) -> str:
        return f"out-{self.greeting}"

    for kind in trial.kinds:
        owner = _owner(property(trial.decorate(kind, plain)))
        trial.answered(kind, trial.answer(kind, getattr, owner(), "plain"), "out-holder-3fa")
        trial.keeps("plain", output=["out-holder-3fa"])


@rule()
def an_overriding_method(trial: Trial) -> None:
    """A decorated method that overrides a decorated one reaches it through `super()`."""
    for kind in trial.kinds:

        class Parent:
            def inherited(self, word: str) -> str:
                return f"parent-{word}"

        class Child(Parent):
            def inherited(self, word: str) -> str:
                return f"child-{super().inherited(word)}"

        for each in (Parent, Child):
            each.inherited = trial.decorate(kind, vars(each)["inherited"])  # type: ignore[method-assign]  # as `@` would
        answer = trial.answer(kind, Child().inherited, "in-5b1")
        trial.answered(kind, answer, "child-parent-in-5b1")
        if trial.can("parent"):
            trial.is_nested("inherited", 2)


def _owner(attribute: Any) -> type[Any]:
    return type("Owner", (Holder,), {"plain": attribute})


def _on_class_and_object(trial: Trial, kind: str, attribute: Any, wanted: str) -> None:
    owner = _owner(attribute)
    for of in (owner, owner()):
        answer = trial.answer(kind, of.plain, "in-5b1")
        trial.answered(kind, answer, wanted)
        trial.keeps("plain", input=["in-5b1"], output=[wanted])


def _without_owner(trial: Trial, kind: str) -> None:
    trial.keeps("plain", input=["in-5b1"], output=["-in-5b1"])
    if not trial.can("input"):
        return
    said = trial.record("plain").input or ""
    told = [word for word in ("Owner", "holder-3fa", '"self"', '"cls"') if word in said]
    require(not told, f"{kind}: the input tells of the owner: {told} in {said[:120]}")
