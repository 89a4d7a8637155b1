"""Values that harm other recorders: without an end, with effects, slow, or changed later."""

from __future__ import annotations

import collections
import functools
import io
import json
import socket
import threading
import time
import types
import urllib.request
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import starlette.datastructures
import starlette.requests

import turnspan
from turnspan.capture.values import Limits, to_json


def read(value: Any) -> Any:
    return json.loads(to_json(value, Limits()).text)


class Touched(Exception):
    pass


class Key:
    """A key whose hash and comparison are the program's, and refuse once it says so."""

    def __init__(self) -> None:
        self.shut = False

    def __hash__(self) -> int:
        if self.shut:
            raise Touched
        return 1

    def __eq__(self, other: object) -> bool:
        if self.shut:
            raise Touched
        return self is other


@pytest.mark.parametrize(
    "kind", [dict, collections.OrderedDict, lambda pairs: collections.defaultdict(int, pairs)]
)
def test_keys_are_neither_hashed_nor_compared(kind):
    """Though all of them have the same hash."""
    keys = [Key() for _ in range(20)]
    value = kind([(key, 1) for key in keys])
    for key in keys:
        key.shut = True
    shown = read(value)
    for key in keys:
        key.shut = False

    assert list(shown.values()) == [1]  # their names are the same


class Column:
    """A descriptor that goes to the database, as an ORM's does."""

    asked = 0

    def __get__(self, instance: Any, owner: Any) -> Any:
        Column.asked += 1
        raise Touched


class Lazy:
    """A row of an ORM: two loaded fields, and one that is loaded when it is looked at."""

    orders = Column()

    def __init__(self) -> None:
        self.id = 7
        self.name = "ada"

    def __getattr__(self, name: str) -> Any:
        Column.asked += 1
        raise Touched

    @property
    def address(self) -> Any:
        Column.asked += 1
        raise Touched


def test_what_is_loaded_lazily_stays_where_it_is(tape):
    """Only what is there already is read."""

    @turnspan.tool
    def inner(row):
        return row

    row = Lazy()
    with turnspan.turn():
        assert inner(row) is row

    assert json.loads(tape.step.input.content) == {"row": {"id": 7, "name": "ada"}}
    assert Column.asked == 0


@pytest.mark.parametrize(
    "message",
    [
        starlette.requests.Request({"type": "http", "headers": [(b"cookie", b"sid=hunter2")]}),
        starlette.datastructures.Headers({"cookie": "sid=hunter2"}),
        httpx.Request("GET", "http://localhost", headers={"authorization": "hunter2"}),
        httpx.Response(200, request=httpx.Request("GET", "http://ada:hunter2@localhost")),
        urllib.request.Request("http://localhost", headers={"Authorization": "hunter2"}),
    ],
    ids=lambda message: type(message).__module__,
)
def test_what_travels_over_http_keeps_what_it_carries(message):
    """A route's request has the keys and cookies of whoever sent it, and the whole application."""
    assert read([message]) == [f"<{type(message).__module__}.{type(message).__name__}>"]


def test_a_partial_keeps_its_secret_keywords():
    """As the call that it stands for would."""
    bound = functools.partial(print, "a", end="", password="hunter2")

    keywords = {"end": "", "password": "<hidden>"}
    assert read(bound) == {
        "func": "<builtin_function_or_method>",
        "args": ["a"],
        "keywords": keywords,
    }


def test_a_generator_is_not_consumed(tape):
    """Nor an iterator, a file or a socket read."""

    @turnspan.tool
    def inner(things):
        return things

    class Tail(io.RawIOBase):
        def __init__(self):
            self.line = "read already"

    with socket.socket() as plug, open(__file__, encoding="utf-8") as file, Tail() as tail:
        items = (n for n in (1, 2, 3))
        things = [items, iter([1]), file, tail, plug, threading.Lock(), types, object()]
        with turnspan.turn():
            assert inner(things) is things
        at = file.tell()

    assert list(items) == [1, 2, 3]
    assert at == 0
    assert json.loads(tape.step.input.content)["things"] == [
        "<generator>",
        "<list_iterator>",
        "<_io.TextIOWrapper>",
        f"<{__name__}.{Tail.__qualname__}>",
        {"family": 2, "type": 1, "proto": 0, "_closed": False, "_io_refs": 0},
        "<_thread.lock>",
        "<module>",
        "<object>",
    ]


class Slow:
    """Whatever asks it waits for an hour."""

    def _wait(self, *_: Any) -> Any:
        time.sleep(3600)

    __repr__ = __str__ = __getattr__ = __len__ = __iter__ = __bool__ = _wait  # type: ignore[assignment]
    __class__ = property(_wait)  # type: ignore[assignment]


def test_what_hangs_is_not_asked(tape):
    """Not even for its class."""

    @turnspan.tool
    def inner(value):
        return value

    value = Slow()
    with turnspan.turn():
        assert inner([value, {"k": value}])[0] is value

    assert json.loads(tape.step.output.content) == [{}, {"k": {}}]


class Struct(msgspec.Struct):
    x: int
    y: str = "y"


@pytest.mark.parametrize(
    "value, expected",
    [
        (Struct(1), {"x": 1, "y": "y"}),
        (np.float32(1.5), 1.5),
        (np.float64(2.5), 2.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.zeros((3, 4)), "<numpy.ndarray (3, 4) <f8>"),
        (np.array([object()]), "<numpy.ndarray (1,) |O>"),
        (np.datetime64("2026-01-01"), "<numpy.datetime64>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_libraries_values_have_their_form(value, expected):
    """An array is what it is of, not the millions of numbers it may hold."""
    assert read([value]) == [expected]


class Frame:
    """As `pandas.DataFrame`: whatever is asked of it computes."""

    def __init__(self) -> None:
        self._mgr = object()

    def __getattr__(self, name: str) -> Any:
        raise Touched

    __len__ = __iter__ = __eq__ = __bool__ = __array__ = __getattr__  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


Frame.__module__, Frame.__qualname__, Frame.__name__ = "pandas", "DataFrame", "DataFrame"


def test_a_data_frame_is_its_types_name(monkeypatch):
    """It is neither measured nor printed."""
    pandas = types.ModuleType("pandas")
    pandas.DataFrame = Frame  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "pandas", pandas)

    assert read({"frame": Frame()}) == {"frame": "<pandas.DataFrame>"}


class Client:
    def __init__(self) -> None:
        self.base_url = "https://api.example.com"
        self.api_key = "hunter2"
        self._auth_token = "hunter2"
        self.password = None


class SlottedClient:
    __slots__ = ("client_secret", "host")

    def __init__(self) -> None:
        self.client_secret = "hunter2"
        self.host = "x"


def test_a_clients_key_is_not_recorded():
    """A stored field of an obviously secret name is hidden, without any policy."""
    assert read([Client(), SlottedClient()]) == [
        {
            "base_url": "https://api.example.com",
            "api_key": "<hidden>",
            "_auth_token": "<hidden>",
            "password": None,
        },
        {"client_secret": "<hidden>", "host": "x"},
    ]


def test_an_argument_is_recorded_as_it_was_on_entry(tape):
    """And a result as it was on return, whatever became of them."""

    @turnspan.tool
    def inner(rows, options):
        rows.append("later")
        rows[0]["deep"] = "later"
        options.clear()
        return rows

    with turnspan.turn():
        rows = [{"deep": "now"}]
        result = inner(rows, options={"k": "now"})
        result.clear()
    step = tape.step

    assert json.loads(step.input.content) == {"rows": [{"deep": "now"}], "options": {"k": "now"}}
    assert json.loads(step.output.content) == [{"deep": "later"}, "later"]


def test_an_object_is_recorded_as_it_was(tape):
    """Its fields are read at once as well."""

    @turnspan.tool
    def inner(thing):
        thing.x = "later"
        return thing

    with turnspan.turn():
        thing = types.SimpleNamespace(x="now")
        inner(thing).x = "latest"
    step = tape.step

    assert (step.input.content, step.output.content) == ('{"thing":{"x":"now"}}', '{"x":"later"}')


def deep() -> Any:
    value: Any = []
    for _ in range(10_000):
        value = [value]
    return value


def circular() -> Any:
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    "make, why",
    [
        (deep, "nested deeper than 64"),
        (circular, "contains itself"),
        (lambda: "x" * 50_000_000, "over 1048576 bytes"),
        (lambda: ["é" * 1000] * 2000, "over 1048576 bytes"),
        (lambda: list(range(1_000_000)), "more than 20000 parts"),
        (lambda: {n: n for n in range(100_000)}, "more than 20000 parts"),
        (lambda: [[n] for n in range(100_000)], "more than 1000 lists, mappings and objects"),
        (lambda: [Client()] * 100_000, "more than 1000 lists, mappings and objects"),
        (lambda: (n for n in ()), "could not be read: <generator>"),
    ],
    ids=["deep", "circular", "long", "wide", "list", "dict", "lists", "objects", "generator"],
)
def test_what_was_cut_is_named_in_the_turn(tape, make, why):
    """And the caller gets its own object back."""

    @turnspan.tool
    def inner(value):
        return value

    value = make()
    with turnspan.turn():
        assert inner(value) is value
    turn = tape.turn
    step = turn.steps[0]

    assert {cut.where: cut.why for cut in turn.truncated} == {
        f"steps/{step.id}/input": why,
        f"steps/{step.id}/output": why,
    }
    assert len(tape.log.lines[-1]) < 3 * 2**20


class Said(str):
    """A text that is more than a text, and whose methods are the program's."""

    __slots__ = ()

    def __str__(self) -> str:
        raise Touched

    __repr__ = __len__ = __add__ = encode = __str__

    def __call__(self) -> str:
        return "as a method"


def test_a_text_of_a_class_of_its_own_is_a_text(tape):
    """As input and as output, of turns and steps; no method of its class is called."""

    @turnspan.tool
    def tool(said):
        return said

    @turnspan.agent
    def answer(question):
        return tool(question)

    answer(Said("How far é?"))
    turn, step = tape.turn, tape.step
    found = [(x.content, x.mime_type) for x in (turn.input, turn.output, step.output)]

    assert found == [("How far é?", "text/plain")] * 3
    assert json.loads(step.input.content) == {"said": "How far é?"}
