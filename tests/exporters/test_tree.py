"""A turn as a tree, compared as whole text at 80 columns."""

import io

import pytest
from rich.console import Console

from turnspan.exporters.tree import turn_tree
from turnspan.schema import Agent, Content, Cut, Error, Message, MessagePart, Model, Usage
from turnspan.testing import make_step, make_turn, sample_turns

MS = 1_000_000


def drawn(turn, width=80):
    out = io.StringIO()
    Console(file=out, width=width).print(turn_tree(turn))
    return out.getvalue()


def step(name, *, parent=None, kind="step", start_ms=0, **changes):
    plain = make_step(1)
    return make_step(
        1,
        id=name,
        name=name,
        parent_id=parent,
        kind=kind,
        started_at=plain.started_at + start_ms * MS,
        ended_at=plain.ended_at + start_ms * MS,
        **changes,
    )


def text(role, content):
    return Message(
        role=role, parts=(MessagePart.model_validate({"type": "text", "content": content}),)
    )


def call(name, arguments):
    part = {"type": "tool_call", "name": name, "arguments": arguments}
    return Message(role="assistant", parts=(MessagePart.model_validate(part),))


RICH_TURN = make_turn(
    1,
    agent=Agent(name="weather-bot"),
    session_id="s-42",
    number=3,
    user_id="ada",
    tags=("demo", "oslo"),
    resumes="turn_000000000000",
    ended_at=make_turn(1).started_at + 1_840 * MS,
    input=Content(content="What is the weather in Oslo?\nAnd will it stay?"),
    reasoning="The user wants the weather now and the days to come, so the forecast is what to "
    "look up, in metric units.",
    output=Content(content="It is 4 °C in Oslo. The alerts could not be had."),
    usage=Usage(input_tokens=1204, output_tokens=312, cost_usd=0.0041),
    messages=(text("user", "What is the weather?"), call("forecast", {"city": "Oslo"})),
    steps=(
        step("forecast", parent="planner", kind="tool", start_ms=20),
        step(
            "ask",
            parent="planner",
            kind="model",
            start_ms=10,
            input=None,
            output=None,
            input_messages=((0, 1),),
            output_messages=((1, 2),),
            model=Model(request_model="gpt-5", response_model="gpt-5-2026"),
            usage=Usage(input_tokens=900, output_tokens=40),
            reasoning="Look it up.",
        ),
        step("planner", kind="agent", input=None, output=None),
        step(
            "alerts",
            kind="tool",
            start_ms=30,
            status="error",
            input=Content(content='{"city":"Oslo","radius_km":50,"languages":["nb","en"]}'),
            output=Content(type="error", content="upstream did not answer in 5 s, and never will"),
            error=Error(type="TimeoutError", message="upstream did not answer\nin 5 s"),
        ),
    ),
    truncated=(Cut(where="steps/forecast/output", why="too long", size_bytes=52_428_800),),
)

RICH_TREE = """\
weather-bot · s-42 #3 · ok · 1.84 s · 1,204 → 312 tokens · $0.0041
turn_000000000001 · user ada · [demo] [oslo] · resumes turn_000000000000
├── input     What is the weather in Oslo?
│             And will it stay?
├── reasoning The user wants the weather now and the days to come, so the
│             forecast is what to look up, in metric units.
├── agent planner · 200 ms
│   ├── model ask · gpt-5-2026 · 200 ms · 900 → 40 tokens
│   │   ├── 1 message → forecast({"city":"Oslo"})
│   │   └── reasoning Look it up.
│   └── tool forecast · 200 ms
│       └── {"key":"value"} → {"found":true}
├── tool alerts · error · 200 ms
│   ├── {"city":"Oslo","radius_km":50,"la… → [error] upstream did not answer in…
│   └── error     TimeoutError: upstream did not answer
│                 in 5 s
├── output    It is 4 °C in Oslo. The alerts could not be had.
└── cut       steps/forecast/output: too long (52,428,800 bytes)
"""


def test_a_turn_is_drawn_whole():
    """Header, what came in and went out, nested steps, errors and cuts, within 80 columns."""
    assert drawn(RICH_TURN) == RICH_TREE


def test_a_turn_that_holds_next_to_nothing_is_two_lines():
    """Fields that hold nothing take no room."""
    bare = make_turn(1, session_id=None, number=None, input=None, output=None, steps=())

    assert drawn(bare) == "assistant · ok · 500 ms\nturn_000000000001\n"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    """Everything fits itself to the width, and no line ends in blanks."""
    from rich.cells import cell_len

    lines = [line for turn in sample_turns(60) for line in drawn(turn, width).splitlines()]

    assert lines
    assert [line for line in lines if cell_len(line) > width or line != line.rstrip()] == []


@pytest.mark.parametrize(
    "length_ns,shown",
    [
        (0, "0 µs"),
        (1_500, "2 µs"),
        (45 * MS, "45 ms"),
        (1_840 * MS, "1.84 s"),
        (125_000 * MS, "2 min 5 s"),
    ],
)
def test_a_length_is_shown_in_the_unit_that_fits(length_ns, shown):
    """From microseconds to minutes."""
    start = make_turn(1).started_at
    bare = make_turn(1, ended_at=start + length_ns, session_id=None)

    assert drawn(bare).splitlines()[0] == f"assistant · ok · {shown}"


def test_control_characters_never_reach_the_terminal():
    """Escapes, bells, carriage returns, direction overrides and half surrogates are spelled."""
    bad = "\x1b[2J\x07\r\x9b31m\u202egnp\u2066\ud800\x7f"
    turn = make_turn(
        1,
        agent=Agent(name=bad),
        session_id=bad,
        user_id=bad,
        tags=(bad,),
        input=Content(content=bad),
        reasoning=bad,
        output=Content(content=bad),
        error=Error(type=bad, message=bad),
        steps=(step(bad, kind="tool", input=Content(content=bad), output=Content(content=bad)),),
        truncated=(Cut(where=bad, why=bad),),
    )

    shown = drawn(turn)

    assert "\\x1b[2J\\x07\\x0d\\x9b31m\\x202egnp\\x2066\\xd800\\x7f" in shown
    assert [c for c in shown if c != "\n" and not c.isprintable()] == []


def test_markup_in_content_is_text():
    """Brackets of rich's markup and emoji codes are shown as they were written."""
    turn = make_turn(1, input=Content(content="[red]stop[/red] :smile: [link=http://x]y[/link]"))

    assert "input     [red]stop[/red] :smile: [link=http://x]y[/link]\n" in drawn(turn)


def test_a_long_text_is_cut_and_says_by_how_much():
    """Megabytes of output do not flood the terminal."""
    wide = make_turn(1, output=Content(content="x" * 10_000))
    tall = make_turn(1, output=Content(content="\n".join(["line"] * 100)))

    assert "x… (9,400 more characters)" in drawn(wide, 1000)
    assert drawn(tall).count("line") == 12
    assert "line… (440 more characters)" in drawn(tall)


def test_both_sides_of_a_call_keep_their_share_of_a_line():
    """However long the arguments, the result is seen."""
    long = Content(content='{"blob":"' + "x" * 5_000_000)
    short = Content(content="42")
    turn = make_turn(1, steps=(step("a", input=long, output=short),))
    both = make_turn(1, steps=(step("a", input=long, output=long),))

    assert '{"blob":"' + "x" * 57 + "… → 42" in drawn(turn).splitlines()[4]
    assert drawn(both).splitlines()[4].count("…") == 2


def test_a_step_whose_parent_is_missing_hangs_under_the_turn():
    """A turn that was cut off may have lost the step above."""
    turn = make_turn(1, input=None, output=None, steps=(step("a", parent="gone", input=None),))

    assert drawn(turn).splitlines()[2] == "└── step a · 200 ms"


def test_steps_that_name_one_another_as_parents_are_each_shown_once():
    """No shape of steps loses one or draws for ever."""
    names = ["self", "ring1", "ring2", "plain"]
    parents = {"self": "self", "ring1": "ring2", "ring2": "ring1"}
    turn = make_turn(1, steps=tuple(step(name, parent=parents.get(name)) for name in names))

    assert [drawn(turn).count(f"step {name} ") for name in names] == [1, 1, 1, 1]


def test_a_chain_of_a_thousand_steps_stays_on_the_screen():
    """Beyond a few levels steps are drawn side by side; nothing recurses."""
    chain = [
        step(f"s{n}", parent=f"s{n - 1}" if n else None, start_ms=n, input=None, output=None)
        for n in range(1_000)
    ]
    turn = make_turn(1, input=None, output=None, steps=tuple(chain))

    lines = drawn(turn).splitlines()

    assert [line.split("step ")[1] for line in lines[2:]] == [
        f"s{n} · 200 ms" for n in range(1_000)
    ]
    assert max(map(len, lines)) < 60


def test_a_stream_says_how_soon_and_how_often_it_yielded():
    """Of a turn and of a step; one without a count is one that another program recorded."""
    turn = make_turn(1, steps=())
    began = turn.started_at
    streamed = step("words", kind="model", first_chunk_at=began + 3 * MS, chunks=1)
    known = step("other", kind="model", first_chunk_at=began + 4 * MS)
    shown = drawn(
        turn.model_copy(
            update={
                "first_chunk_at": began + 5 * MS,
                "chunks": 1200,
                "steps": (
                    streamed.model_copy(update={"started_at": began}),
                    known.model_copy(update={"started_at": began}),
                ),
            }
        )
    )

    assert " · 1,200 chunks, the first after 5 ms" in shown
    assert " · 1 chunk, the first after 3 ms" in shown
    assert " · first chunk after 4 ms" in shown
