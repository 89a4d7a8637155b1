"""The exporter that prints."""

import io
import os
import pty
import subprocess
import sys

import pytest

from turnspan.exporters.console import ConsoleExporter
from turnspan.ports import JournalledTurn, Outcome
from turnspan.testing import raw_turn

TREE = """\
assistant · session-1 #1 · ok · 500 ms
turn_000000000001
├── input     question 1
├── tool look_up · 200 ms
│   └── {"key":"value"} → {"found":true}
└── output    answer 1

"""


def test_a_turn_is_printed_to_the_given_file(monkeypatch):
    """Plain text, a blank line after each turn."""
    monkeypatch.setenv("COLUMNS", "80")
    out = io.StringIO()
    exporter = ConsoleExporter(out)

    outcome = exporter.export([raw_turn(1), raw_turn(1)], timeout_s=1.0)

    assert outcome == Outcome()
    assert out.getvalue() == TREE * 2


def test_standard_output_is_left_to_the_program(capsys, monkeypatch):
    """Unless told otherwise, turns go to standard error."""
    monkeypatch.setenv("COLUMNS", "80")

    ConsoleExporter().export([raw_turn(1)], timeout_s=1.0)

    assert capsys.readouterr() == ("", TREE)


def test_colour_is_for_terminals_only(monkeypatch):
    """A terminal gets colour; a file or pipe gets none (the tests above)."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    reader, writer = pty.openpty()
    with open(writer, "w", encoding="utf-8") as terminal:
        ConsoleExporter(terminal).export([raw_turn(1, status="error")], timeout_s=1.0)
        seen = os.read(reader, 4096)
    os.close(reader)

    assert b"\x1b[1;31merror\x1b[0m" in seen


def test_a_line_that_is_no_turn_is_refused_and_the_rest_printed():
    """One bad line harms no other."""
    out = io.StringIO()

    batch = [JournalledTurn(b"{torn\n"), raw_turn(1)]
    outcome = ConsoleExporter(out).export(batch, timeout_s=1.0)

    assert list(outcome.refused) == [0]
    assert outcome.unsent == frozenset()
    assert "turn_000000000001" in out.getvalue()


def test_a_turn_that_cannot_be_drawn_is_refused(monkeypatch):
    """Whatever the drawing library trips over, the turns after it are printed."""
    from turnspan.exporters import tree

    draw = tree.turn_tree

    def trip(turn):
        return draw(turn) if turn.number == 2 else 1 / 0

    monkeypatch.setattr(tree, "turn_tree", trip)
    out = io.StringIO()

    outcome = ConsoleExporter(out).export([raw_turn(1), raw_turn(2)], timeout_s=1.0)

    assert outcome.refused == {0: "it cannot be drawn: ZeroDivisionError: division by zero"}
    assert "turn_000000000002" in out.getvalue()


def test_a_broken_stream_leaves_turns_unsent():
    """A pipe whose reader left, or a closed file, is an outcome and no exception."""
    reader, writer = os.pipe()
    os.close(reader)
    pipe = os.fdopen(writer, "w", buffering=1, encoding="utf-8")
    closed = io.StringIO()
    closed.close()

    broken = ConsoleExporter(pipe).export([raw_turn(1), raw_turn(2)], timeout_s=1.0)
    shut = ConsoleExporter(closed).export([raw_turn(1)], timeout_s=1.0)
    with pytest.raises(BrokenPipeError):
        pipe.close()

    assert (broken.unsent, shut.unsent) == ({0, 1}, {0})
    assert "Broken pipe" in broken.cause
    assert "closed file" in shut.cause


def test_a_stream_that_knows_few_characters_shows_codes():
    """An ASCII terminal shows a turn all the same."""
    buffer = io.BytesIO()
    out = io.TextIOWrapper(buffer, encoding="ascii")

    outcome = ConsoleExporter(out).export([raw_turn(1, reasoning="4 °C")], timeout_s=1.0)

    assert outcome == Outcome()
    assert b"reasoning 4 \\xb0C" in buffer.getvalue()


def test_the_time_over_leaves_turns_unsent():
    """What was not printed in time is offered again."""
    out = io.StringIO()

    outcome = ConsoleExporter(out).export([raw_turn(1)], timeout_s=0.0)

    assert outcome == Outcome.all_unsent(1, "cannot print: printing took longer than 0 s")
    assert out.getvalue() == ""


def test_importing_the_exporter_brings_neither_rich_nor_pydantic():
    """They are loaded when the first turn is printed."""
    code = (
        "import sys, turnspan.exporters.console as c; c.ConsoleExporter();"
        "import turnspan.exporters.memory, turnspan.exporters.file, turnspan.exporters.registry;"
        "print(sorted({'rich', 'pydantic', 'httpcore', 'importlib.metadata'} & set(sys.modules)))"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"
