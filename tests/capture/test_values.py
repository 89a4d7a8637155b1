"""Any value can be written within a budget, and no code of the caller's is run for it."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import math
import pathlib
import time
import types
import uuid
import zoneinfo
from typing import Any, NamedTuple

import attrs
import orjson
import pytest
from pydantic import BaseModel, ConfigDict, SecretBytes, SecretStr, computed_field
from pydantic.dataclasses import dataclass as pydantic_dataclass

import turnspan
from turnspan.capture.values import Limits, cut_text, to_json
from turnspan.capture.walk import MAX_DEPTH

ZURICH = zoneinfo.ZoneInfo("Europe/Zurich")


def shown(value: Any) -> Any:
    """``value`` as it is read back, where it was kept whole."""
    written = to_json(value, Limits(max_containers=10_000))
    assert written.cut is None, written.cut
    return json.loads(written.text)


class Color(enum.Enum):
    RED = "red"
    MANY = ("a", 1)


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    YES = "yes"


class Bits(enum.Flag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Plain:
    x: int
    inner: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: int


@attrs.define
class Attrs:
    x: int
    y: int = attrs.field(default=2, repr=False)


@pydantic_dataclass
class PydanticData:
    x: int


class Modelled(BaseModel):
    model_config = ConfigDict(extra="allow")

    x: int

    @computed_field
    @property
    def twice(self) -> int:
        raise AssertionError("a computed field was computed")


class Slots:
    __slots__ = ("_hidden", "unset", "x")

    def __init__(self) -> None:
        self.x = 1


class SlotsAndMore(Slots):
    def __init__(self) -> None:
        super().__init__()
        self.y = 2


class Text(str):
    __slots__ = ()


class Row(list):  # type: ignore[type-arg]
    pass


class OddZone(dt.tzinfo):
    def utcoffset(self, _: Any) -> dt.timedelta:
        raise AssertionError("a time zone was asked")


class Later(dt.datetime):
    pass


@pytest.mark.parametrize(
    "value, expected",
    [
        (Color.RED, "red"),
        (Color.MANY, ["a", 1]),
        (Level.HIGH, 3),
        (Word.YES, "yes"),
        (Bits.A | Bits.B, 3),
        (Point(1, 2), [1, 2]),
        (Plain(1, Plain(2)), {"x": 1, "inner": {"x": 2, "inner": None}}),
        (Slotted(1), {"x": 1}),
        (Attrs(1), {"x": 1, "y": 2}),
        (PydanticData(1), {"x": 1}),
        (Modelled(x=1, more="m"), {"x": 1, "more": "m"}),
        (Slots(), {"x": 1}),
        (SlotsAndMore(), {"x": 1, "y": 2}),
        (types.SimpleNamespace(a=1), {"a": 1}),
        (Text("t"), "t"),
        (Row([1]), [1]),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.10"), "1.10"),
        (fractions.Fraction(1, 3), "1/3"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.time(1, 2), "01:02:00"),
        (dt.timedelta(minutes=1), "0:01:00"),
        (dt.datetime(2026, 1, 2), "2026-01-02T00:00:00"),  # noqa: DTZ001  # naive on purpose
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00+00:00"),
        (dt.datetime(2026, 1, 2, tzinfo=ZURICH), "2026-01-02T00:00:00+01:00"),
        (
            dt.datetime(2026, 1, 2, tzinfo=OddZone()),
            f"2026-01-02T00:00:00 {__name__}.OddZone",
        ),
        (Later(2026, 1, 2), "2026-01-02T00:00:00"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (pathlib.Path("a"), "a"),
        (b"\x00\xff", "AP8="),
        (bytearray(b"x"), "eA=="),
        ({3}, [3]),
        (frozenset({3}), [3]),
        (range(3), "range(0, 3)"),
        (1 + 2j, "(1+2j)"),
        (collections.deque([1]), [1]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.Counter("aa"), {"a": 2}),
        (math.nan, None),
        (math.inf, None),
        ([1.5, -math.inf], [1.5, None]),
        (2**63, 2**63),
        (2**64, str(2**64)),
        (-(2**64), str(-(2**64))),
        (2**5000, "<int of 5001 bits>"),
        ("a\ud800b", "a?b"),
        ({"k\ud800": "v"}, {"k?": "v"}),
        ({1: "a", None: "b", False: "c"}, {"1": "a", "null": "b", "false": "c"}),
        ({(1, "x"): 1}, {'[1,"x"]': 1}),
        ({Color.RED: 1, 1.5: 2}, {"red": 1, "1.5": 2}),
        (orjson.Fragment(b'{"a":1}'), {"a": 1}),
        ([orjson.Fragment(b'{"a":1}'), "\ud800"], [{"a": 1}, "?"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_common_type_has_its_form(value, expected):
    """By its stored fields, or by the form its standard type has."""
    assert shown(value) == expected
    assert shown([value, {"k": value}]) == [expected, {"k": expected}]


@pytest.mark.parametrize(
    "value, label",
    [
        (object(), "<object>"),
        (len, "<builtin_function_or_method>"),
        (shown, "<function>"),
        (int, "<class int>"),
        (Plain, "<type>"),
        (types, "<module>"),
        ((n for n in [1]), "<generator>"),
        (iter([1]), "<list_iterator>"),
        (types.MappingProxyType({}), "<mappingproxy>"),
        (memoryview(b"x"), "<memoryview>"),
        (b"x" * 100_000, "<100000 bytes>"),
        (SecretStr("hunter2"), "<pydantic.types.SecretStr>"),
        (SecretBytes(b"hunter2"), "<pydantic.types.SecretBytes>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_nothing_we_may_read_is_its_types_name(value, label):
    """And the turn says that it could not be read."""
    written = to_json({"value": value}, Limits())
    found = json.loads(written.text)["value"]

    assert found == label or (label == "<type>" and found.startswith("<"))
    assert written.cut is not None
    assert written.cut.startswith("could not be read: <")


def test_a_secret_of_pydantic_is_nowhere_in_the_journal(tape):
    """Neither alone nor inside what holds it."""

    class Login(BaseModel):
        user: str
        password: SecretStr

    @turnspan.tool
    def login(given, password):
        return given

    with turnspan.turn():
        login(Login(user="ada", password="hunter2"), SecretStr("hunter2"))

    assert b"ada" in tape.log.lines[-1]
    assert b"hunter2" not in b"".join(tape.log.lines)


def _refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("code of the caller's was run")


HOOKS = [
    "__repr__", "__str__", "__format__", "__bool__", "__len__", "__iter__", "__next__",
    "__eq__", "__ne__", "__lt__", "__hash__", "__getattr__", "__getitem__", "__contains__",
    "__index__", "__int__", "__float__", "__bytes__", "__fspath__", "__reduce_ex__",
    "__copy__", "__deepcopy__", "__call__", "__await__", "keys", "items", "values",
    "__json__", "to_json", "dict", "model_dump", "isoformat", "name", "__dir__",
]  # fmt: skip


def hostile(base: type, **more: Any) -> type:
    """A subclass of ``base`` whose every hook raises."""
    hooks = {name: _refuse for name in HOOKS if not (base is not object and name == "__hash__")}
    return type("Hostile", (base,), {**hooks, **more})


class HostileMeta(type):
    __eq__ = __hash__ = __repr__ = __getattribute__ = __instancecheck__ = _refuse  # type: ignore[assignment]


def hostile_values() -> list[Any]:
    plain = object.__new__(hostile(object))
    object.__setattr__(plain, "x", 1)
    attribute = hostile(object, __getattribute__=_refuse)
    hidden = object.__new__(hostile(object, __class__=property(_refuse)))
    return [
        plain,
        object.__new__(attribute),
        hidden,
        hostile(dict)({"a": 1}),
        hostile(list)([1]),
        hostile(tuple)((1,)),
        hostile(str)("text"),
        hostile(int)(3),
        hostile(float)(1.5),
        hostile(bytes)(b"x"),
        hostile(set)({1}),
        hostile(frozenset)({1}),
        hostile(dt.datetime)(2026, 1, 2),
        hostile(uuid.UUID, __init__=lambda self: object.__setattr__(self, "int", 1))(),
        hostile(collections.OrderedDict)(),
        hostile(Exception)("x"),
        hostile(Plain, __init__=lambda self: None)(),
    ]


@pytest.mark.parametrize("number", range(len(hostile_values())))
def test_no_code_of_an_object_is_run(tape, number):
    """As argument, result, message, part of a container, metadata, exception, state."""
    value = hostile_values()[number]

    @turnspan.tool
    def inner(value):
        return value

    @turnspan.model
    def ask(messages):
        return value

    @turnspan.agent(state=lambda: value, metadata={"value": value})
    def outer(value, *more, **named):
        turn = turnspan.current_turn()
        turn.set_input(value)
        turn.set_metadata(value=value)
        turn.add_reasoning(value)
        turn.add_tags(value)
        turn.set_usage(input_tokens=value)
        turnspan.current_step().set_model(name=value)
        ask([value])
        ask([{"role": "user", "content": value}])
        ask([{"role": "user", "content": [value, {"type": "text", "text": value}]}])
        turn.set_output([value])
        return inner(value)

    with turnspan.session("a", metadata={"value": value}):
        assert outer(value, [value], named={"k": value}) is value
    with pytest.raises(ValueError):
        turnspan.agent(_raise)(ValueError(value))

    # Reasoning that is no string is a mistake that is said, not a failure to record.
    assert tape.recorder.failures == 0
    assert [turn.status for turn in tape.turns] == ["ok", "error"]


def _raise(error: BaseException) -> None:
    raise error


def test_no_code_of_a_class_is_run(tape):
    """A metaclass has hooks, too."""
    value = object.__new__(HostileMeta("Hostile", (), {}))

    @turnspan.tool
    def inner(*values, **named):
        return values[0] if values else named["value"]

    with turnspan.turn():
        assert inner(value, [value], key={"k": value}) is value
        assert inner(value=value) is value
        assert inner(value=[value] * 600) is not None

    assert tape.recorder.failures == 0
    assert len(tape.turn.steps) == 3


def test_no_code_of_a_name_is_run():
    """The name of an item is as odd as an item can be, at any depth."""
    odd = object.__new__(HostileMeta("Hostile", (), {"__hash__": lambda _: 1}))

    class Stored(enum.Enum):
        X = 1
        value = property(_refuse)

    for name in (odd, Stored.X, Word.YES, 1, None):
        assert to_json({name: 1}, Limits()).text.endswith(":1}")
        assert to_json({"in": [{name: Stored.X}]}, Limits()).text.startswith('{"in":[{"')


def test_a_cycle_says_that_it_contains_itself():
    """In containers as in objects."""
    row: list[Any] = [1]
    row.append(row)
    entry: dict[str, Any] = {"a": {}}
    entry["a"]["b"] = entry

    for value, text in [
        (row, '[1,"<contains itself>"]'),
        (entry, '{"a":{"b":"<contains itself>"}}'),
    ]:
        written = to_json(value, Limits())

        assert (written.text, written.cut) == (text, "contains itself")


def test_an_object_that_holds_itself_says_so():
    """As parents and children do."""
    parent = Plain(1)
    parent.inner = Plain(2, parent)
    written = to_json(parent, Limits())

    assert written.cut == "contains itself"
    assert len(written.text) < 100


def test_the_same_value_twice_is_no_cycle():
    """Only what is inside itself is."""
    shared = [1]

    assert shown([shared, shared, {"k": shared}]) == [[1], [1], {"k": [1]}]


def test_deep_nesting_ends_somewhere():
    """Far below the depth that would break an encoder or the stack."""
    value: Any = "bottom"
    for _ in range(100_000):
        value = [value]
    written = to_json(value, Limits())

    assert written.cut == f"nested deeper than {MAX_DEPTH}"
    assert written.text.count("[") == MAX_DEPTH + 1


def test_a_huge_text_costs_little(tape):
    """50 MB are cut to the budget, quickly, and their full size is told."""
    huge = "x" * 50_000_000

    @turnspan.agent
    def work(text):
        return {"text": text}

    began_s = time.thread_time()  # whatever else the machine is busy with
    assert work(huge)["text"] is huge
    took_s = time.thread_time() - began_s
    turn = tape.turn

    assert took_s < 1.0
    assert turn.input.content == "x" * 2**20
    assert len(turn.output.content) <= 2**20 + 100
    assert [(note.where, note.size_bytes) for note in turn.truncated] == [
        ("input", 50_000_000), ("output", 50_000_000),
    ]  # fmt: skip


def test_every_budget_says_what_it_cut():
    """Bytes, parts and depth."""
    cases = [
        (["x" * 600, "y" * 600], Limits(max_bytes=1000), "over 1000 bytes"),
        (list(range(2000)), Limits(max_nodes=100), "more than 100 parts"),
        ([[[["x"]]], "\ud800"], Limits(max_depth=2), "nested deeper than 2"),
        ({str(n): n for n in range(2000)}, Limits(max_nodes=100), "more than 100 parts"),
    ]

    for value, limits, why in cases:
        written = to_json(value, limits)
        assert written.cut == why
        assert json.loads(written.text) is not None


def test_a_value_that_is_cut_keeps_its_keys_and_tells_its_size():
    """Only what didn't fit is missing."""
    written = to_json({"first": "x" * 5000, "second": 1}, Limits(max_bytes=1000))
    found = json.loads(written.text)

    assert next(iter(found)) == "first"
    assert set(found["first"]) == {"x"}
    assert written.size_bytes == 5000


@pytest.mark.parametrize("text", ["x" * 100, "é" * 100, "👩‍🚀" * 30, "a\ud800" * 50])
def test_a_text_is_cut_between_characters(text):
    """Within the budget, as a beginning of what it was."""
    kept, size = cut_text(text, 50)

    assert len(kept.encode("utf-8", "replace")) <= 50
    assert (
        text.encode("utf-8", "replace")
        .decode()
        .startswith(kept.encode("utf-8", "replace").decode())
    )
    assert size == len(text.encode("utf-8", "surrogatepass"))
    assert cut_text(text, 10_000) == (text, None)


def test_a_mutated_argument_keeps_its_first_form(tape):
    """What the function does to it is not what it was given."""

    @turnspan.tool
    def drain(items):
        items.clear()
        return items

    with turnspan.turn():
        result = drain([1, 2])
        result.append(3)

    assert tape.step.input.content == '{"items":[1,2]}'
    assert tape.step.output.content == "[]"


def test_a_generator_argument_is_not_consumed(tape):
    """Nobody but the function reads from it."""

    @turnspan.tool
    def total(numbers):
        return sum(numbers)

    with turnspan.turn():
        assert total(n for n in range(4)) == 6

    assert tape.step.input.content == '{"numbers":"<generator>"}'


@pytest.mark.parametrize("width", [3, 600])
def test_what_is_wide_reads_as_what_is_narrow(width):
    """The two ways of writing a value agree."""
    odd = [Color.RED, Plain(1), None, 1.5, True, "é", b"x", {"k": Point(1, 2)}]
    value = [odd] * width

    assert (
        shown(value)
        == [["red", {"x": 1, "inner": None}, None, 1.5, True, "é", "eA==", {"k": [1, 2]}]] * width
    )
