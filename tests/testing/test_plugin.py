"""The pytest plugin, as somebody's test suite meets it: pytest runs in a process of its own."""

from __future__ import annotations

import pytest

AGENT = """
    import asyncio, os, sys, threading
    import pytest
    import turnspan
    from turnspan.testing import assert_turn, call

    @turnspan.tool
    def forecast(city):
        return {"city": city, "celsius": 4}

    @turnspan.agent
    def concierge(question):
        return f"{question}? {forecast('Oslo')['celsius']} degrees."
"""


def test_the_fixture_is_there_and_captures(check):
    """Without a line of configuration; nothing is written."""
    result = check(
        AGENT
        + """
    def test_weather(turns):
        concierge("Coat")

        assert_turn(
            turns.only(),
            status="ok",
            output="Coat? 4 degrees.",
            tool_calls=[call("forecast", city="Oslo")],
        )
        assert not os.path.exists(".turnspan")
        assert threading.active_count() == 1
    """
    )

    result.assert_outcomes(passed=1)


def test_an_application_that_configured_at_import_keeps_its_runtime(check, pytester):
    """Its own turns go on going where it said, before and after; those of the test do not."""
    pytester.makepyfile(
        shop="""
        import turnspan
        runtime = turnspan.configure(exporters=["file:sent.jsonl"], directory="journal")

        @turnspan.agent
        def sell(what):
            return f"sold {what}"

        sell("before")
    """
    )
    result = check(
        """
    import pathlib
    import shop
    import turnspan

    def test_one(turns):
        shop.sell("within")
        assert turns.only().output.content == "sold within"

    def test_two():
        shop.sell("after")
        assert turnspan.flush().unsent == 0
        sent = pathlib.Path("sent.jsonl").read_text()
        assert [word in sent for word in ("before", "within", "after")] == [True, False, True]
        assert turnspan.health().recorded == 2
    """,
        *("-p", "no:randomly"),
    )

    result.assert_outcomes(passed=2)


def test_marks_give_options_and_the_nearer_one_wins(check):
    """Of module, class and function."""
    result = check(
        AGENT
        + """
    pytestmark = pytest.mark.turnspan(deterministic=True, service_name="shop")

    def told(turn):
        return turn.id, turn.resource["service.name"], turn.output is not None

    def test_module(turns):
        concierge("Coat")
        assert told(turns.only()) == ("turn_000000000001", "shop", True)

    @pytest.mark.turnspan(content=("none",), service_name="stall")
    class TestNearer:
        def test_class(self, turns):
            concierge("Coat")
            assert told(turns.only()) == ("turn_000000000001", "stall", False)

        @pytest.mark.turnspan(content=True, deterministic=False)
        def test_function(self, turns):
            concierge("Coat")
            told_ = told(turns.only())
            assert told_[1:] == ("stall", True) and told_[0] != "turn_000000000001"
    """
    )

    result.assert_outcomes(passed=3)


@pytest.mark.parametrize(
    "mark, said",
    [
        ("'deterministic'", "*@pytest.mark.turnspan takes options by name*"),
        ("determinstic=True", "*there is no option 'determinstic'*"),
        ("media='perhaps'", "*media='perhaps' is not true or false*"),
    ],
)
def test_a_mistake_in_a_mark_is_told(check, mark, said):
    """As an error of the test that has it, and of no other."""
    result = check(
        AGENT
        + f"""
    @pytest.mark.turnspan({mark})
    def test_wrong(turns):
        concierge("Coat")

    def test_right(turns):
        concierge("Coat")
        assert len(turns) == 1
    """
    )

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([said])


def test_a_failed_comparison_shows_what_differs(check):
    """Not two lines of everything."""
    result = check(
        AGENT
        + """
    @pytest.mark.turnspan(deterministic=True)
    def test_same(turns):
        concierge("Coat")
        concierge("Hat")
        assert turns[0] == turns[1]
    """
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *assert turn turn_000000000001 == turn turn_000000000002",
            "E *  input.content: 'Coat' != 'Hat'",
            "E *  output.content: 'Coat? 4 degrees.' != 'Hat? 4 degrees.'",
            "E *  and what differs from run to run: id, started_at, ended_at, trace.trace_id,*",
        ]
    )


def test_a_failed_expectation_points_at_the_test(check):
    """The frames of `assert_turn` are not in the way."""
    result = check(
        AGENT
        + """
    def test_wrong(turns):
        concierge("Coat")
        assert_turn(turns.only(), status="error")
    """
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       assert_turn(turns.only(), status=*",
            "E       AssertionError: the turn is not as expected",
            "E         status      'ok', expected 'error'",
            "E       concierge * ok * ?s",
            "test_*.py:*: AssertionError",
        ]
    )
    result.stdout.no_fnmatch_line("*expectation.py:*")


def test_other_comparisons_are_as_they_were(check):
    """Of what is no turn."""
    result = check(
        AGENT
        + """
    def test_wrong(turns):
        assert [1, 2] == [1, 3]
    """
    )

    result.stdout.fnmatch_lines(["E *At index 1 diff: 2 != 3"])


def test_asyncio_and_tasks(check):
    """Coroutines and what they leave running, under pytest-asyncio."""
    result = check(
        AGENT
        + """
    @turnspan.agent
    async def later(question):
        await asyncio.sleep(0.01)
        return question

    @pytest.mark.asyncio
    async def test_tasks(turns):
        first = asyncio.ensure_future(later("a"))
        await later("b")
        assert len(await turns.awaited(2)) == 2
        await first

    @pytest.mark.asyncio
    async def test_next(turns):
        await later("c")
        assert turns.only().input.content == "c"
    """
    )

    result.assert_outcomes(passed=2)


def test_random_order_and_workers(check):
    """Under pytest-randomly and pytest-xdist at once."""
    result = check(
        AGENT
        + """
    @pytest.mark.turnspan(deterministic=True)
    @pytest.mark.parametrize("number", range(12))
    def test_alone(turns, number):
        concierge(str(number))
        turn = turns.only()
        assert (turn.id, turn.input.content) == ("turn_000000000001", str(number))
    """,
        *("-n", "2", "-p", "randomly"),
    )

    result.assert_outcomes(passed=12)


def test_without_the_plugin_nothing_of_it_is_left(check):
    """`-p no:turnspan` takes the fixture away, and pytest is none the worse."""
    result = check(
        """
    def test_plain():
        assert True

    def test_asks(turns):
        pass
    """,
        *("-p", "no:turnspan"),
    )

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'turns' not found*"])


def test_a_fixture_of_the_same_name_wins(check):
    """Whoever had one keeps it."""
    result = check(
        """
    import pytest

    @pytest.fixture
    def turns():
        return 7

    def test_mine(turns):
        assert turns == 7
    """
    )

    result.assert_outcomes(passed=1)


def test_a_run_that_does_not_use_it_imports_nothing(check):
    """Neither pydantic nor OpenTelemetry nor rich, nor any room of ours but the doorstep."""
    result = check(
        """
    import sys

    def test_light():
        assert 1 + 1 == 2

    def test_modules():
        ours = sorted(name for name in sys.modules if name.split(".")[0] == "turnspan")
        assert ours == ["turnspan", "turnspan.lazy", "turnspan.testing", "turnspan.testing.plugin"]
    """,
    )

    result.assert_outcomes(passed=2)


def test_a_failure_leaves_nothing_to_the_next_test(check):
    """A turn left open, a session left entered, a runtime closed: the next one begins clean."""
    result = check(
        AGENT
        + """
    def test_bad(turns):
        turnspan.session("left").__enter__()
        turnspan.turn(agent="left").__enter__()
        turnspan.close()
        raise RuntimeError

    def test_good(turns):
        concierge("Coat")
        turn = turns.only()
        assert (turn.agent.name, turn.session_id) == ("concierge", None)
        assert turn.trace.parent_span_id is None
    """,
        *("-p", "no:randomly"),
    )

    result.assert_outcomes(passed=1, failed=1)


def test_unittest_has_the_context_manager(check):
    """A `TestCase` takes no fixtures."""
    result = check(
        AGENT
        + """
    import unittest
    from turnspan.testing import recording

    class TestWeather(unittest.TestCase):
        def setUp(self):
            self.turns = self.enterContext(recording(deterministic=True))

        def test_weather(self):
            concierge("Coat")
            self.assertEqual(self.turns.only().id, "turn_000000000001")
    """
    )

    result.assert_outcomes(passed=1)
