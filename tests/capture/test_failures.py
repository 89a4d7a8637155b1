"""Exceptions are described without running any code of theirs."""

from __future__ import annotations

import asyncio
import concurrent.futures

import pytest
from pydantic import BaseModel, ValidationError

import turnspan
from turnspan.capture.failures import MAX_MESSAGE_BYTES, error_of, message_of, status_of
from turnspan.capture.values import Limits


class Quiet(Exception):
    """Holds a code, and has something to say about it."""

    def __init__(self, code):
        self.code = code

    def __str__(self):
        raise AssertionError("its __str__ was run")

    __repr__ = __str__


class Closed(Exception):
    """Hides everything, once it is shut (pytest looks into what tests are given)."""

    shut = False

    def __getattribute__(self, name):
        if Closed.shut:
            raise AssertionError(f"{name} was asked")
        return super().__getattribute__(name)


@pytest.fixture
def shut(monkeypatch):
    monkeypatch.setattr(Closed, "shut", True)
    yield
    monkeypatch.undo()


class Holding:
    def __repr__(self):
        raise AssertionError("its repr was run")

    __str__ = __repr__


class Shouting(str):
    __slots__ = ()

    def __str__(self):
        raise AssertionError("its __str__ was run")


def raised(error):
    try:
        raise error
    except BaseException as exc:
        return exc


@pytest.mark.parametrize(
    "error, kind, message",
    [
        (ValueError("told"), "ValueError", "told"),
        (ValueError(), "ValueError", ""),
        (ValueError("a", 1), "ValueError", "('a', 1)"),
        (KeyError("k"), "KeyError", "'k'"),
        (OSError(2, "Gone", "x.txt"), "FileNotFoundError", "[Errno 2] Gone: 'x.txt'"),
        (OSError(2, "Gone", Holding()), "FileNotFoundError", '[2,"Gone"]'),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), "UnicodeDecodeError", None),
        (Quiet(7), f"{__name__}.Quiet", "7"),
        (Quiet("seven"), f"{__name__}.Quiet", "seven"),
        (Closed("hidden"), f"{__name__}.Closed", "hidden"),
        (ValueError({"a": 1}), "ValueError", '{"a":1}'),
        (ValueError(Holding()), "ValueError", "{}"),
        (ValueError(Shouting("loud")), "ValueError", '"loud"'),
        (ValueError("a", Holding()), "ValueError", '["a",{}]'),
        (ExceptionGroup("a", [KeyError(2)]), "ExceptionGroup", "a (1 sub-exception)"),
        (ValueError("x" * 100_000), "ValueError", "x" * MAX_MESSAGE_BYTES),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_an_error_is_told_by_its_arguments(shut, error, kind, message):
    """By the words of the nearest built-in class, or as JSON where that would ask an object."""
    told = error_of(error, Limits())

    assert told["type"] == kind
    assert message is None or told["message"] == message
    assert "stacktrace" not in told


def test_what_pydantic_says_is_kept():
    """Its message is written in C, and is what a reader needs."""

    class Model(BaseModel):
        number: int

    with pytest.raises(ValidationError) as caught:
        Model(number="x")

    assert message_of(caught.value, Limits()).startswith("1 validation error for Model")


@pytest.mark.parametrize(
    "error, status",
    [
        (ValueError(), "error"),
        (asyncio.CancelledError(), "cancelled"),
        (concurrent.futures.CancelledError(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (type("Stopped", (KeyboardInterrupt,), {})(), "cancelled"),
        (GeneratorExit(), "abandoned"),
        (Closed(), "error"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_class_of_an_error_gives_the_status(shut, error, status):
    """Subclasses count as what they are."""
    assert status_of(error) == status


def fails(depth):
    if depth:
        fails(depth - 1)
    raise ValueError("deep")


def test_the_stack_trace_has_the_callers_frames_and_none_of_ours(tape):
    """As Python prints it, without the wrapper in between."""

    @turnspan.step
    def inner():
        fails(1)

    @turnspan.session("a")
    @turnspan.agent
    def outer():
        inner()

    with pytest.raises(ValueError):
        outer()
    lines = tape.turn.error.stacktrace.splitlines()

    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: deep"
    assert [line.rpartition(" in ")[2] for line in lines if " line " in line] == [
        "outer", "inner", "fails", "fails",
    ]  # fmt: skip
    assert '    raise ValueError("deep")' in lines
    assert "turnspan" not in "".join(
        line for line in lines if "File" in line and "tests" not in line
    )


def test_a_deep_stack_trace_keeps_its_last_frames():
    """Those are the ones that tell why."""
    error = None
    try:
        fails(200)
    except ValueError as exc:
        error = exc
    trace = error_of(error, Limits())["stacktrace"]

    assert trace.count("in fails") == 4
    assert "[Previous line repeated 46 more times]" in trace
    assert trace.endswith("ValueError: deep")


def test_causes_contexts_and_notes_are_told():
    """In the order Python tells them."""
    cause = raised(KeyError("first"))
    error = ValueError("second")
    error.add_note("a note")
    error.__cause__ = cause
    raised(error)
    third = None
    try:
        try:
            raise error
        except ValueError:
            raise RuntimeError("third:")  # noqa: B904  # its context is what is tested
    except RuntimeError as exc:
        third = exc
    trace = error_of(third, Limits())["stacktrace"]
    wanted = [
        "KeyError: 'first'",
        "The above exception was the direct cause of the following exception:",
        "ValueError: second",
        "a note",
        "During handling of the above exception, another exception occurred:",
        "RuntimeError: third:",
    ]

    assert [line for line in trace.splitlines() if line in wanted] == wanted


def test_a_circle_of_causes_ends():
    """And a context that was suppressed is not told."""
    first, second = raised(ValueError("a")), raised(ValueError("b"))
    first.__cause__, second.__cause__ = second, first
    quiet = raised(KeyError("c"))
    quiet.__context__, quiet.__suppress_context__ = first, True

    assert error_of(first, Limits())["stacktrace"].count("Traceback") == 2
    assert error_of(quiet, Limits())["stacktrace"].count("Traceback") == 1


@pytest.mark.parametrize("kind", [Quiet, Closed])
def test_no_code_of_an_exception_is_run(tape, monkeypatch, kind):
    """Whatever it overrides."""
    error = kind(Holding())

    @turnspan.agent
    def work():
        raise error

    monkeypatch.setattr(Closed, "shut", True)
    try:
        work()
    except Exception as exc:
        same = exc is error
    monkeypatch.undo()

    assert same
    assert tape.recorder.failures == 0
    assert tape.turn.status == "error"
    assert tape.turn.error.message == "{}"
