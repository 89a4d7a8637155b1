"""`assert_turn`: what it takes, what it refuses, and what it says."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

import turnspan
from turnspan.schema import Agent, Content, Error, Model, decode_turn
from turnspan.testing import assert_turn, call, in_any_order, make_step, make_turn


def tool(index, name, arguments, **changes):
    content = (
        None if arguments is None else Content(content=arguments, mime_type="application/json")
    )
    return make_step(index, name=name, input=content, **changes)


def turn_of(*steps, **changes):
    return make_turn(1, steps=steps, **changes)


OSLO = tool(1, "forecast", '{"city":"Oslo"}')
BERGEN = tool(2, "forecast", '{"city":"Bergen","days":3}')
BOOK = tool(3, "book", "{}")
TRIP = turn_of(OSLO, BERGEN, BOOK)
ALL = [call("forecast", city="Oslo"), call("forecast", city="Bergen", days=3), call("book")]


def refused(turn, **expected):
    """What is said of ``turn``, without the picture of it."""
    with pytest.raises(AssertionError) as raised:
        assert_turn(turn, **expected)
    return str(raised.value).partition("\n\n")[0].splitlines()


@pytest.mark.parametrize(
    "met, unmet, said",
    [
        ({"status": "ok"}, {"status": "error"}, "status      'ok', expected 'error'"),
        ({"agent": "assistant"}, {"agent": "x"}, "agent       'assistant', expected 'x'"),
        ({"session_id": "session-1"}, {"session_id": None},
         "session_id  'session-1', expected None"),
        ({"user_id": None}, {"user_id": "ada"}, "user_id     None, expected 'ada'"),
        ({"input": "question 1"}, {"input": "q"}, "input       'question 1', expected 'q'"),
        ({"output": re.compile("^answer")}, {"output": re.compile("^no")},
         "output      'answer 1', expected /^no/"),
        ({"output": str.islower}, {"output": str.isupper},
         "output      'answer 1', expected isupper"),
        ({"error": None}, {"error": "E"}, "error       none, expected 'E'"),
        ({"tools": ["look_up"]}, {"tools": []}, "tools       look_up, expected none"),
        ({"models": []}, {"models": ["gpt"]}, "models      none, expected gpt"),
    ],
)  # fmt: skip
def test_each_expectation_is_met_or_told(met, unmet, said):
    """One line says what was found and what was expected."""
    assert_turn(make_turn(1), **met)

    assert refused(make_turn(1), **unmet) == ["the turn is not as expected", f"  {said}"]


def test_all_that_is_wrong_is_told_at_once_with_the_turn_as_a_tree():
    """A person sees what happened without running it again."""
    with pytest.raises(AssertionError) as raised:
        assert_turn(TRIP, status="error", output="done", tool_calls=[*ALL[:2]])

    assert str(raised.value).splitlines() == [
        "the turn is not as expected",
        "  status      'ok', expected 'error'",
        "  output      'answer 1', expected 'done'",
        "  tool_calls  expected",
        "                forecast(city='Oslo')",
        "                forecast(city='Bergen', days=3)",
        "              made",
        "                forecast(city='Oslo')",
        "                forecast(city='Bergen', days=3)",
        "              ✗ book()",
        "",
        "assistant · session-1 #1 · ok · 500 ms",
        "turn_000000000001",
        "├── input     question 1",
        "├── tool forecast · 200 ms",
        '│   └── {"city":"Oslo"} → {"found":true}',
        "├── tool forecast · 200 ms",
        '│   └── {"city":"Bergen","days":3} → {"found":true}',
        "├── tool book · 200 ms",
        '│   └── {} → {"found":true}',
        "└── output    answer 1",
    ]


def test_what_went_in_and_out_as_json_is_compared_as_values():
    """And may be written as it was, too; True is not 1."""
    turn = make_turn(
        1, output=Content(content='{"ok":true,"n":[1,2]}', mime_type="application/json")
    )

    assert_turn(turn, output={"ok": True, "n": [1, 2]})
    assert_turn(turn, output={"ok": ..., "n": (1, lambda n: n > 1)})
    assert_turn(turn, output='{"ok":true,"n":[1,2]}')
    for other in ({"ok": 1, "n": [1, 2]}, {"ok": True}, {"ok": True, "n": [1]}, [1, 2], None):
        refused(turn, output=other)


@pytest.mark.parametrize(
    "expected",
    [
        ALL,
        tuple(ALL),
        [call("forecast", ...), call("forecast", ..., days=3), call("book", ...)],
        [ALL[0], call("forecast", days=lambda n: n > 2, city=re.compile("^B")), call("book")],
        [call("forecast", city=...), call("forecast", city=..., days=...), call("book")],
        [call("forecast", lambda given: given == {"city": "Oslo"}), ..., ALL[2]],
        [...],
        [..., call("forecast", ..., city="Bergen"), ...],
        [ALL[0], ..., ALL[1], ..., ALL[2], ...],
        [in_any_order(ALL[1], ALL[0]), ALL[2]],
        in_any_order(ALL[2], ALL[1], ALL[0]),
        # The first could have either, the second one only: both must find theirs.
        [in_any_order(call("forecast", ...), call("forecast", city="Oslo")), ...],
    ],
)  # fmt: skip
def test_calls_that_were_made_are_found(expected):
    """Exactly, partly, by predicate; in order, in any, among others."""
    assert_turn(TRIP, tool_calls=expected)


@pytest.mark.parametrize(
    "expected",
    [
        [],
        ALL[:2],
        ALL[1:],
        [*ALL, ALL[2]],
        [ALL[1], ALL[0], ALL[2]],
        [call("forecast"), ALL[1], ALL[2]],
        [ALL[0], call("forecast", city="Bergen"), ALL[2]],
        [ALL[0], call("forecast", city="Bergen", days=3, hour=1), ALL[2]],
        [ALL[0], call("forecast", ..., hour=...), ALL[2]],
        [ALL[0], call("forecast", city="Bergen", days=True), ALL[2]],
        [..., ALL[2], ..., ALL[0], ...],
        [..., ALL[0]],
        in_any_order(*ALL[:2]),
        in_any_order(ALL[0], ALL[0], ALL[2]),
        [in_any_order(ALL[0], ALL[2]), ALL[1]],
        [in_any_order(), *ALL[:2]],
    ],
)
def test_calls_that_were_not_made_are_missed(expected):
    """One too few, one too many, another argument, another order."""
    assert refused(TRIP, tool_calls=expected)[1].startswith("  tool_calls  expected")


def test_an_order_that_is_wrong_is_said_to_be():
    """Where each call was made and yet they are not those expected."""
    assert refused(TRIP, tool_calls=[ALL[1], ALL[0], ALL[2]]) == [
        "the turn is not as expected",
        "  tool_calls  expected",
        "                forecast(city='Bergen', days=3)",
        "                forecast(city='Oslo')",
        "                book()",
        "              made",
        "                forecast(city='Oslo')",
        "                forecast(city='Bergen', days=3)",
        "                book()",
        "              in another order, or not as often",
    ]


def test_each_attempt_of_a_tool_that_was_tried_again_counts():
    """What came of each can be said."""
    failed = tool(
        1, "pay", '{"cents":5}', status="error", output=None, error=Error(type="TimeoutError")
    )
    turn = turn_of(failed, tool(2, "pay", '{"cents":5}'))
    pay = call("pay", cents=5)

    assert_turn(turn, tool_calls=[pay, pay], tools=["pay", "pay"])
    assert_turn(turn, tool_calls=[pay.failing(), pay.returning({"found": True})])
    assert_turn(turn, tool_calls=[pay.failing("TimeoutError"), pay.returning(...)])
    assert refused(turn, tool_calls=[pay.returning(...), pay.failing("OSError")]) == [
        "the turn is not as expected",
        "  tool_calls  expected",
        "                pay(cents=5) returning ...",
        "              ✗ pay(cents=5) failing with OSError",
        "              made",
        "              ✗ pay(cents=5)  error (TimeoutError)",
        "                pay(cents=5)",
    ]


def test_tools_of_nested_agents_count_and_can_be_told_apart():
    """By whoever called them, at whatever depth."""
    helper = make_step(1, kind="agent", name="helper", agent=Agent(name="helper"))
    plan = make_step(2, kind="step", name="plan", parent_id=helper.id)
    inner = tool(3, "book", "{}", parent_id=plan.id)
    turn = turn_of(inner, plan, helper, tool(4, "book", "{}"))

    assert_turn(turn, tool_calls=[call("book").within("helper"), call("book")])
    assert_turn(turn, tool_calls=[call("book").within("plan"), call("book")])
    assert refused(turn, tool_calls=[call("book"), call("book").within("helper")])[-3:] == [
        "                book()  in plan",
        "                book()",
        "              in another order, or not as often",
    ]


def test_steps_that_name_one_another_as_parents_end_the_search():
    """Whoever wrote such a turn."""
    one = tool(1, "book", "{}", parent_id=make_step(2).id)
    turn = turn_of(one, make_step(2, kind="step", parent_id=one.id))

    assert refused(turn, tool_calls=[call("book").within("nobody")])


def test_order_is_that_of_their_beginning(turns):
    """Steps stand in the order they end: the slow one that was called first comes first."""

    @turnspan.tool
    def slow():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(turnspan.carry(quick)).result()

    @turnspan.tool
    def quick():
        return None

    @turnspan.agent
    def run(text):
        slow()

    run("go")

    assert [step.name for step in turns.only().steps] == ["quick", "slow"]
    assert_turn(turns.only(), tools=["slow", "quick"])


def test_tools_in_a_set_are_meant_in_any_order_and_number():
    """Each must have been called, and no other."""
    assert_turn(TRIP, tools={"book", "forecast"})

    assert refused(TRIP, tools={"book"}) == [
        "the turn is not as expected",
        "  tools       forecast, forecast, book, expected book in any order",
    ]
    assert refused(TRIP, tools={"book", "forecast", "pay"})
    assert refused(TRIP, tools=["forecast", "book", "forecast"])


def test_models_go_by_the_name_they_were_asked_and_the_one_they_answered_by():
    """The step's own where nobody knows either."""
    known = Model(request_model="gpt", response_model="gpt-2026")
    turn = turn_of(
        make_step(1, kind="model", name="ask", model=known),
        make_step(2, kind="model", name="mine", model=None),
    )

    for expected in (["gpt", "mine"], ["gpt-2026", "mine"], {"gpt", "mine"}, {"mine", "gpt-2026"}):
        assert_turn(turn, models=expected)
    assert refused(turn, models=["ask", "mine"]) == [
        "the turn is not as expected",
        "  models      gpt/gpt-2026, mine, expected ask, mine",
    ]
    assert refused(turn, models={"gpt"})
    assert refused(turn, models=["gpt"])


def test_errors_can_be_expected_by_type_message_or_predicate():
    """Of the turn itself."""
    turn = make_turn(1, status="error", error=Error(type="ValueError", message="no such city"))

    assert_turn(turn, error="ValueError")
    assert_turn(turn, error=re.compile("such"))
    assert_turn(turn, error=lambda error: error.type.endswith("Error"))
    assert refused(turn, error=None) == [
        "the turn is not as expected",
        "  error       ValueError: no such city, expected none",
    ]
    assert refused(turn, error="OSError")
    assert refused(turn, error=re.compile("^such"))


def test_no_errors_means_the_steps_too():
    """What a tool raised and the agent handled is an error all the same."""
    failed = tool(1, "pay", "{}", status="error", error=Error(type="OSError", message="gone"))
    turn = turn_of(failed, status="error", error=Error(type="E"))

    assert_turn(TRIP, no_errors=True)
    assert refused(turn, no_errors=True) == [
        "the turn is not as expected",
        "  no_errors   the turn failed: E",
        "  no_errors   tool pay failed: OSError: gone",
    ]


def test_arguments_that_were_not_recorded_are_not_taken_for_none(turns):
    """With content off a call can be expected, its arguments cannot."""
    turnspan.configure(content=False)

    @turnspan.tool
    def book(city):
        return None

    @turnspan.agent
    def run(text):
        book("Oslo")

    run("go")

    assert_turn(turns.only(), tool_calls=[call("book", ...)])
    assert refused(turns.only(), tool_calls=[call("book")])[-1] == "              ✗ book(?)"
    assert refused(turns.only(), tool_calls=[call("book", ..., city="Oslo")])


def test_a_tool_called_without_arguments_is_one(turns):
    """Recorded as such by the decorator."""

    @turnspan.tool
    def now():
        return 5

    @turnspan.agent
    def run(text):
        now()

    run("go")

    assert_turn(turns.only(), tool_calls=[call("now").returning(5)])


def test_a_turn_of_which_nothing_is_expected_is_refused():
    """Such an assertion could not fail."""
    with pytest.raises(TypeError, match="nothing is expected"):
        assert_turn(make_turn(1))


@pytest.mark.parametrize(
    "given, said",
    [
        ({"tools": "book"}, r"write \['book'\]"),
        ({"models": "gpt"}, r"write \['gpt'\]"),
    ],
)
def test_a_single_name_is_refused(given, said):
    """It would be taken for a list of its characters."""
    with pytest.raises(TypeError, match=said):
        assert_turn(make_turn(1), **given)


def test_what_is_no_turn_is_refused(turns):
    """Above all the fixture itself."""
    with pytest.raises(TypeError, match=r"not CapturedTurns: write turns\.only\(\)"):
        assert_turn(turns, status="ok")


def test_arguments_by_position_are_refused():
    """Tools are recorded with their arguments by name."""
    with pytest.raises(TypeError, match="arguments are given by name, not 'Oslo'"):
        call("forecast", "Oslo")
    with pytest.raises(TypeError, match="name none besides"):
        call("forecast", bool, city="Oslo")


def test_hundreds_of_calls_are_searched_at_once():
    """Many `...` over many calls, with no end that fits."""
    turn = turn_of(*(tool(index, "go", "{}") for index in range(1, 201)))
    expected = [each for _ in range(60) for each in (..., call("go"))]

    assert_turn(turn, tool_calls=[*expected, ...])
    assert refused(turn, tool_calls=[*expected, call("stop")])


def test_a_turn_read_from_a_journal_can_be_asserted_on():
    """Nothing depends on where it came from."""
    line = make_turn(1).model_dump_json().encode()

    assert_turn(decode_turn(line), agent="assistant", tool_calls=[call("look_up", key="value")])
