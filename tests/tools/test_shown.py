"""What a user sees of three turns in Phoenix and in MLflow, asked of each through its own API."""

from __future__ import annotations

from pathlib import Path

import pytest
from backends.shown import ShownSession, ShownStep, ShownTurn, when_whole
from chromium import browser, pictured

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="session")
def turns(tool, recorded):
    """The session's turns, when they are whole."""
    return when_whole(tool, recorded, steps=8)


def thought(city):
    return ShownStep(
        "chat gpt-5-mini", "model", given=f"What is the weather in {city}?",
        tokens=(40, 12), reasoning=f"{city} has a station: ask it.",
    )  # fmt: skip


def answered(city, given, result):
    """A turn that went well."""
    tool = ShownStep("execute_tool read_station", "tool", given={"city": city}, result=given)
    answer = ShownStep("chat gpt-5-mini", "model", given=given, result=result, tokens=(70, 9))
    return turn(city, result, [thought(city), tool, answer], tokens=(110, 21))


def turn(city, answer, steps, *, tokens, failed=False):
    return ShownTurn(
        id="", session="trip-7", user="ada", kind="agent", name="invoke_agent weather-desk",
        given=f"What is the weather in {city}?", answer=answer, failed=failed, tokens=tokens,
        steps=steps,
    )  # fmt: skip


def test_each_turn_is_shown_with_all_that_happened_in_it(turns):
    """Input, output, user, kinds, the tool's arguments and result, tokens, reasoning."""
    oslo, _, cairo = turns

    assert oslo == answered("Oslo", {"celsius": 4, "sky": "rain"}, "4 degrees, rain.")
    assert cairo == answered("Cairo", {"celsius": 31, "sky": "clear"}, "31 degrees, clear.")


def test_the_turn_that_failed_is_red(turns):
    """It and the tool that failed are, and nothing else is; its input and tokens are there."""
    tool = ShownStep("execute_tool read_station", "tool", failed=True, given={"city": "Atlantis"})
    steps = [thought("Atlantis"), tool]

    assert turns[1] == turn("Atlantis", None, steps, tokens=(40, 12), failed=True)


def test_the_session_groups_the_three_turns(tool, turns, recorded):
    """With the first input, the last output and what all of it cost, which nothing doubles."""
    assert tool.session(recorded) == ShownSession(
        turns=3,
        failed=1,
        first_input="What is the weather in Oslo?",
        last_output="31 degrees, clear.",
        tokens=(260, 54),
    )


@pytest.fixture
def page(tool, turns, recorded, pytestconfig):
    """What a page of the tool says, and its picture."""
    program = browser()
    if program is None:
        pytest.skip("no picture of the tools' pages: there is no Chromium here")
    folder = Path(pytestconfig.getoption("--pictures")).absolute()
    folder.mkdir(parents=True, exist_ok=True)

    def page(url, name, said):
        picture = folder / f"{tool.name}-{name}.png"
        for patience_ms in (15_000, 30_000, 60_000):
            text = pictured(program, url, picture, patience_ms=patience_ms)
            missing = [each for each in said if each not in text]
            if not missing:
                break
        return missing, picture.read_bytes()

    return page


def test_the_page_of_a_turn_shows_it(tool, turns, page):
    """A browser finds question, answer and each step there; the picture is for the docs."""
    said = ["What is the weather in Oslo?", "4 degrees, rain.", "invoke_agent weather-desk"]
    said += ["chat gpt-5-mini", "execute_tool read_station"]
    missing, picture = page(tool.turn_page(turns[0]), "turn", said)

    assert missing == []
    assert picture.startswith(PNG)


def test_the_page_of_the_turn_that_failed_says_so(tool, turns, page):
    """Question and error are there."""
    said = ["What is the weather in Atlantis?", "execute_tool read_station", "Error"]
    missing, picture = page(tool.turn_page(turns[1]), "failed", said)

    assert missing == []
    assert picture.startswith(PNG)


def test_the_page_of_a_model_call_shows_its_reasoning(tool, turns, page):
    """Beside the question and the tool call that came of it."""
    if (url := tool.step_page(turns[0], turns[0].steps[0])) is None:
        pytest.skip(f"a step has no page of its own in {tool.name}")
    said = ["What is the weather in Oslo?", "Reasoning", "Oslo has a station: ask it."]
    missing, picture = page(url, "model", said)

    assert missing == []
    assert picture.startswith(PNG)


def test_the_page_of_the_session_shows_the_conversation(tool, recorded, page):
    """Every question and both answers."""
    cities = ("Oslo", "Atlantis", "Cairo")
    said = [*(f"What is the weather in {city}?" for city in cities), "4 degrees", "31 degrees"]
    missing, picture = page(tool.session_page(recorded), "session", said)

    assert missing == []
    assert picture.startswith(PNG)
