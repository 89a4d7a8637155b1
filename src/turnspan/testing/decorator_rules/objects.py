"""Objects: they are recorded by what they store, without their code."""

from dataclasses import dataclass, field
from typing import Any

from turnspan.testing.decorator_rules.nasties import READABLE, Trap
from turnspan.testing.decorator_rules.passage import goes_through, require_untouched
from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []


@rule("records", "input")
def standard_types(trial: Trial) -> None:
    """UUIDs, decimals, dates, times and enumerations are recorded readably."""
    for kind in trial.kinds:
        goes_through(trial, kind, {"values": list(READABLE.values())})
        said = trial.record("taking").input or ""
        missing = [text for text in READABLE if text not in said]
        require(not missing, f"{kind}: the input lacks {missing}: {said[:160]}")


@rule()
def dataclasses(trial: Trial) -> None:
    """A dataclass is recorded by its stored fields, and none of its code runs for it."""
    trap = Trap()

    @dataclass
    class Order:
        number: str = "order-8d3"
        lines: list[str] = field(default_factory=lambda: ["line-1c4"])

        @property
        def total(self) -> Any:
            return trap.method("total")()

    for kind in trial.kinds:
        goes_through(trial, kind, Order())
        require_untouched(kind, trap)
        _says(trial, "order-8d3", "line-1c4")


@rule(modules=("pydantic",))
def pydantic_models(trial: Trial) -> None:
    """A pydantic model is recorded by its fields, and no computed field runs for it."""
    import pydantic

    trap = Trap()

    class Order(pydantic.BaseModel):
        number: str = "order-8d3"

        @pydantic.computed_field  # type: ignore[prop-decorator]  # pydantic's documented order
        @property
        def total(self) -> str:
            return str(trap.method("total")())

    for kind in trial.kinds:
        goes_through(trial, kind, Order())
        require_untouched(kind, trap)
        _says(trial, "order-8d3")


@rule(modules=("attr",))
def attrs_objects(trial: Trial) -> None:
    """An object of an attrs class, with slots, is recorded by its fields."""
    import attr

    made: Any = attr.make_class("Order", ["number"], slots=True)
    for kind in trial.kinds:
        goes_through(trial, kind, made("order-8d3"))
        _says(trial, "order-8d3")


@rule(modules=("msgspec",))
def msgspec_structs(trial: Trial) -> None:
    """A msgspec struct is recorded by its fields."""
    import msgspec

    made: Any = msgspec.defstruct("Order", [("number", str)])
    for kind in trial.kinds:
        goes_through(trial, kind, made("order-8d3"))
        _says(trial, "order-8d3")


def _says(trial: Trial, *words: str) -> None:
    if trial.can("input"):
        trial.keeps("taking", input=words)
