"""Values that are hard to represent, and traps that tell who touched them."""

import array
import datetime as dt
import decimal
import enum
import socket
import sys
import tempfile
import threading
import time
import typing
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

__all__ = [
    "READABLE",
    "Columns",
    "Matrix",
    "Trap",
    "circular",
    "deep",
    "handles",
    "lazy_record",
    "million_nodes",
    "odd_keys",
    "odd_numbers",
    "odd_texts",
    "special",
    "subclassed",
]


class Trap:
    """Remembers what of the objects it made was called."""

    def __init__(self, then: Callable[[], Any] = lambda: None) -> None:
        self.touched: list[str] = []
        self._then = then

    def method(self, name: str) -> Callable[..., Any]:
        """A method that remembers being called, and then does what the trap does."""

        def called(*_: Any, **__: Any) -> Any:
            self.touched.append(name)
            return self._then()

        return called


# `__init__` and the like run to make the object; these run only for who wants to show it.
SPECIAL: tuple[str, ...] = (
    "__repr__", "__str__", "__format__", "__bytes__", "__getattr__", "__eq__", "__ne__", "__lt__",
    "__hash__", "__len__", "__bool__", "__iter__", "__next__", "__contains__", "__getitem__",
    "__int__", "__float__", "__index__", "__dir__", "__copy__", "__deepcopy__", "__reduce_ex__",
    "__getstate__", "__fspath__", "__call__", "keys", "items", "values", "to_dict", "dict", "json",
    "model_dump", "model_dump_json", "to_json", "tolist", "isoformat", "_asdict",
)  # fmt: skip


def special(trap: Trap) -> Any:
    """An object whose every special method is a trap."""
    made = type("Special", (), {name: trap.method(name) for name in SPECIAL})
    return made()


def subclassed(trap: Trap) -> list[Any]:
    """Subclasses of builtins whose own methods are traps."""
    names = [name for name in SPECIAL if name not in ("__getattr__", "__hash__", "__reduce_ex__")]
    given: list[tuple[type, Any]] = [
        (dict, {"key": "value"}), (list, ["item"]), (tuple, ("item",)), (str, "text"), (int, 7),
        (float, 1.5), (set, {"item"}), (bytes, b"bytes"),
    ]  # fmt: skip
    made = []
    for kind, value in given:
        own = {name: trap.method(name) for name in names if name != "__index__"}
        made.append(type(f"Own{kind.__name__.title()}", (kind,), own)(value))
    return made


def lazy_record(trap: Trap) -> Any:
    """What an object-relational mapper would hand out: its attributes ask a database."""

    def getter(name: str) -> property:
        return property(lambda _: trap.method(name)())

    class Row:
        orders = getter("orders")
        owner = getter("owner")

        def __init__(self) -> None:
            self.loaded = "loaded-7a1"

        def __getattr__(self, name: str) -> Any:
            return trap.method(f"__getattr__({name})")()

    return Row()


def circular() -> list[Any]:
    """Containers that hold themselves."""
    ring: dict[str, Any] = {"name": "ring"}
    ring["self"] = ring
    row: list[Any] = ["row"]
    row.append({"row": row})
    return [ring, row]


def odd_keys() -> dict[Any, Any]:
    """A dictionary whose keys no JSON has."""
    return {
        (1, "two"): "a", None: "b", 3: "c", 4.5: "d", True: "e", frozenset({6}): "f",
        b"seven": "g", object(): "h", "eight": "i", Kind.BIG: "j",
    }  # fmt: skip


def odd_numbers() -> list[Any]:
    """Numbers that JSON has not."""
    return [float("nan"), float("inf"), float("-inf"), 10**5000, -(2**80), complex(1, 2), -0.0]


def odd_texts() -> list[str]:
    """Texts that no encoding carries, or that end lines."""
    return [
        "lone \ud800 surrogate",
        "\udfff",
        "nul \x00",
        "line\u2028end",
        "\x1b[31m",
        "\U0010ffff",
    ]


def deep(levels: int = 10_000) -> list[Any]:
    """Containers within containers."""
    nested: Any = "bottom"
    for level in range(levels):
        nested = [nested] if level % 2 else {"in": nested}
    return [nested]


@contextmanager
def handles() -> Iterator[list[Any]]:
    """What stands for something of the system's."""
    with socket.socket() as plug, tempfile.TemporaryFile() as file:
        yield [
            threading.Lock(),
            threading.RLock(),
            plug,
            file,
            threading.current_thread(),
            sys,
            typing,
            open,
            type,
            Kind,
            sys._getframe(),  # noqa: SLF001  # the public way to a frame
            memoryview(b"x"),
            threading.local(),
        ]
    # closed here, so that a library that keeps them is seen to hold nothing open


def million_nodes() -> list[Any]:
    """A graph of a million nodes, all reachable, none twice."""
    return [[[node] for node in range(1000)] for _ in range(1000)]


class Kind(enum.Enum):
    """An enumeration."""

    BIG = "big-5c2"


class Matrix:
    """Behaves as a numeric array does: no truth, and comparing gives another array."""

    shape: tuple[int, int] = (2, 2)

    def __init__(self) -> None:
        self._cells = array.array("d", [1, 2, 3, 4])

    def __bool__(self) -> bool:
        raise ValueError("the truth of an array is ambiguous")

    def __eq__(self, other: object) -> Any:
        return Matrix()

    def __ne__(self, other: object) -> Any:
        return Matrix()

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # as arrays are

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cells)

    def __getitem__(self, key: Any) -> Any:
        return self._cells[key]

    def __array__(self, *_: Any) -> Any:
        raise TypeError("no numpy here")


class Columns(Matrix):
    """Behaves as a data frame does: an unknown attribute may be a column."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Matrix()

    def __contains__(self, key: object) -> bool:
        raise TypeError("ambiguous")


READABLE: dict[str, Any] = {
    "12345678-1234-5678-1234-567812345678": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "3.14159": decimal.Decimal("3.14159"),
    "2026-11-24": dt.datetime(2026, 11, 24, 12, 30, tzinfo=dt.UTC),
    "2025-01-31": dt.date(2025, 1, 31),
    "big-5c2": Kind.BIG,
}


def sleeping() -> Any:
    """Takes longer than anybody would wait for a representation."""
    time.sleep(1.0)
    return ""
